#include <stdlib.h>
#include <string.h>

#include "Trial.h"

// MARK: The list

static const struct {
    const char *name;
    void (*run)(const descent_kernels *kernels, trial *trial);
} trials[] = {
#define KERNEL(result, name, arguments) {#name, trial_##name},
#include "../../Sources/CDescentKernels/KernelList.inc"
#undef KERNEL
};

intptr_t descent_trial_count(void) { return sizeof trials / sizeof *trials; }

const char *descent_trial_name(intptr_t index) { return trials[index].name; }

descent_trial_result descent_trial(intptr_t index, const descent_kernels *table) {
    trial trial = {.next = 0, .random = 1};
    trials[index].run(table, &trial);
    return (descent_trial_result){trial.digest, trial.strays};
}

// MARK: The digest

void fold_bits(trial *trial, uint64_t bits) {
    uint64_t mixed = (trial->digest ^ bits) * 0x9e3779b97f4a7c15u;
    trial->digest = mixed ^ (mixed >> 29);
}

/// The pattern of a float, the same for every NaN.
static uint32_t pattern_of(float value) {
    uint32_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    return (pattern & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : pattern;
}

/// The pattern of an element of 16 bits, the same for every NaN.
static uint16_t pattern_of_half(uint16_t pattern, descent_element_type type) {
    const uint16_t infinity = type == descent_float16 ? 0x7c00 : 0x7f80;
    return (pattern & 0x7fff) > infinity ? 0x7fff : pattern;
}

void fold_float(trial *trial, float value) { fold_bits(trial, pattern_of(value)); }

void fold_double(trial *trial, double value) {
    uint64_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    fold_bits(trial, value == value ? pattern : 0x7ff8000000000000u);
}

// MARK: Memory

// Bytes before and behind what a kernel is given. The address sanitizer watches what lies behind: none are needed there.
#define MARGIN 128
#define UNTOUCHED 0xa5
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MARGIN_BEHIND 0
#endif
#endif
#ifndef MARGIN_BEHIND
#define MARGIN_BEHIND MARGIN
#endif

static uint64_t checksum_of(const uint8_t *bytes, intptr_t size) {
    uint64_t sum = 0;
    for (intptr_t k = 0; k + 1 < size; k += 2) sum = (sum ^ (bytes[k] | (uint64_t)bytes[k + 1] << 8)) * 0x100000001b3u;
    return sum;
}

static trial_piece *take(trial *trial, intptr_t count, descent_element_type type, bool is_written) {
    if (trial->pieces == MOST_PIECES) abort();
    const intptr_t width = type == descent_float32 ? 4 : 2;
    // Pieces begin anywhere, each elsewhere than the others.
    const intptr_t before = MARGIN + (trial->next + 3 * trial->pieces) % 17 * width;
    trial_piece *piece = &trial->piece[trial->pieces++];
    *piece = (trial_piece){.size = count * width, .type = type, .is_written = is_written};
    piece->memory = malloc((size_t)(before + piece->size + MARGIN_BEHIND));
    if (!piece->memory) abort();
    piece->start = piece->memory + before;
    memset(piece->memory, UNTOUCHED, (size_t)before);
    memset(piece->start + piece->size, UNTOUCHED, MARGIN_BEHIND);
    return piece;
}

/// Checks a piece and folds it, if it was to be written; says whether anything else was.
static bool has_strayed(trial *trial, const trial_piece *piece) {
    bool strays = false;
    for (const uint8_t *byte = piece->memory; byte < piece->start; byte++) strays |= *byte != UNTOUCHED;
    const uint8_t *end = piece->start + piece->size;
    for (const uint8_t *byte = end; byte < end + MARGIN_BEHIND; byte++) strays |= *byte != UNTOUCHED;
    if (!piece->is_written) return strays | (checksum_of(piece->start, piece->size) != piece->checksum);
    if (piece->type == descent_float32) {
        const float *values = (const float *)piece->start;
        for (intptr_t k = 0; k < piece->size / 4; k++) fold_float(trial, values[k]);
    } else {
        const uint16_t *values = (const uint16_t *)piece->start;
        for (intptr_t k = 0; k < piece->size / 2; k++) fold_bits(trial, pattern_of_half(values[k], piece->type));
    }
    return strays;
}

// MARK: Cases

bool next_case(trial *trial, int variants) {
    static const intptr_t large[] = {4095, 4096, 4097, 9000};
    enum { smalls = 71, larges = sizeof large / sizeof *large, kinds = special + 1 };

    bool strays = false;
    for (int k = 0; k < trial->pieces; k++) {
        strays |= has_strayed(trial, &trial->piece[k]);
        free(trial->piece[k].memory);
    }
    trial->strays += strays;
    trial->pieces = 0;

    intptr_t place = trial->next++;
    if (place < smalls * kinds * variants) {
        trial->inputs = (trial_inputs)(place % kinds);
        trial->variant = (int)(place / kinds % variants);
        trial->count = place / kinds / variants;
        return true;
    }
    place -= smalls * kinds * variants;
    if (place >= larges * variants) return false;
    trial->variant = (int)(place % variants);
    trial->count = large[place / variants];
    trial->inputs = (trial_inputs)((place / variants + trial->variant) % kinds);
    return true;
}

// MARK: Inputs

uint32_t random_bits(trial *trial) {
    uint32_t x = trial->random += 0x9e3779b9u;
    x = (x ^ (x >> 16)) * 0x21f0aaadu;
    x = (x ^ (x >> 15)) * 0x735a2d97u;
    return x ^ (x >> 15);
}

/// The pattern of a random float. About one in eight is of a rarer kind, where there are any.
static uint32_t random_float(trial *trial) {
    static const uint32_t rare[] = {
        // Small: zeros, subnormal numbers, the smallest normal one, and some whose squares vanish.
        0x00000000, 0x80000000, 0x00000001, 0x80012345, 0x007fffff, 0x80800000, 0x1e3ce508, 0x9e3ce508,
        // Special: infinities, NaN of both signs, quiet and not, the largest number and some whose squares are too large.
        0x7f800000, 0xff800000, 0x7fc00000, 0xffc54321, 0x7f812345, 0x7f7fffff, 0x7149f2ca, 0xf149f2ca,
    };
    const uint32_t bits = random_bits(trial);
    if (trial->inputs != ordinary && bits % 8 == 0) return rare[(bits >> 3) % (trial->inputs == small ? 8 : 16)];
    const uint32_t exponent = 119 + (bits >> 8) % 17;
    return (bits & 0x80000000) | exponent << 23 | (random_bits(trial) & 0x007fffff);
}

/// The pattern of a random element of 16 bits. Some are any pattern there is, where there are rarer kinds.
static uint16_t random_half(trial *trial, descent_element_type type) {
    const uint32_t bits = random_bits(trial);
    const int digits = type == descent_float16 ? 10 : 7;
    const uint32_t exponents = (0x7fffu >> digits << digits) & 0x7fff;
    if (trial->inputs != ordinary && bits % 4 == 0) {
        const uint16_t any = (uint16_t)(bits >> 16);
        if (trial->inputs == special) return any;
        return bits % 8 == 0 ? any & 0x8000 : any & (uint16_t)~exponents;
    }
    const uint32_t exponent = (type == descent_float16 ? 7 : 119) + (bits >> 8) % 17;
    return (uint16_t)((bits >> 16 & 0x8000) | exponent << digits | (random_bits(trial) & ((1u << digits) - 1)));
}

static trial_piece *filled(trial *trial, intptr_t count, descent_element_type type, bool is_written) {
    trial_piece *piece = take(trial, count, type, is_written);
    if (type == descent_float32) {
        uint32_t *patterns = (uint32_t *)piece->start;
        for (intptr_t k = 0; k < count; k++) patterns[k] = random_float(trial);
    } else {
        uint16_t *patterns = (uint16_t *)piece->start;
        for (intptr_t k = 0; k < count; k++) patterns[k] = random_half(trial, type);
    }
    if (!is_written) piece->checksum = checksum_of(piece->start, piece->size);
    return piece;
}

const float *floats(trial *trial, intptr_t count) {
    return (const float *)filled(trial, count, descent_float32, false)->start;
}

float *results(trial *trial, intptr_t count) { return (float *)filled(trial, count, descent_float32, true)->start; }

float *magnitudes(trial *trial, intptr_t count) {
    trial_piece *piece = filled(trial, count, descent_float32, true);
    uint32_t *patterns = (uint32_t *)piece->start;
    for (intptr_t k = 0; k < count; k++) patterns[k] &= 0x7fffffff;
    return (float *)piece->start;
}

const void *elements(trial *trial, descent_element_type type, intptr_t count) {
    return filled(trial, count, type, false)->start;
}

void *stored_results(trial *trial, descent_element_type type, intptr_t count) {
    return filled(trial, count, type, true)->start;
}

descent_pending gradient(trial *trial, int variant) {
    const descent_element_type type = (descent_element_type)(variant % 3);
    const int form = variant / 3 % 3;
    const intptr_t rows = form == 2 ? 3 : 1, columns = trial->count / rows;
    return (descent_pending){
        .source = elements(trial, type, rows * columns),
        .type = type,
        .rows = rows,
        .columns = columns,
        .factor = form == 0 ? 1 : form == 1 ? 0.37f : -1.5f,
        .means = form == 2 ? floats(trial, rows) : NULL,
    };
}

descent_pending limited_gradient(trial *trial, int variant) {
    static const float ends[][2] = {
        {-__builtin_inff(), __builtin_inff()}, {-1, 2}, {-0.5f, 0.5f}, {-0.0f, 1}, {-__builtin_inff(), 0},
        {-__builtin_inff(), __builtin_inff()},
    };
    const descent_element_type type = (descent_element_type)(variant % 3);
    const int form = variant / 3 % 6;
    const bool is_of_rows_alone = form == 5;
    // Of rows alone, some are whole cache lines.
    const intptr_t rows = form == 1 ? 1 : form == 4 ? 19 : form == 5 ? 4 : 5, columns = trial->count / rows;
    return (descent_pending){
        .source = elements(trial, type, rows * columns),
        .type = type,
        .rows = rows,
        .columns = columns,
        .factor = form == 1 ? 1 : 0.37f,
        .means = form == 3 || form == 4 ? floats(trial, rows) : NULL,
        .limits =
            {
                .is_active = true,
                .is_of_rows_alone = is_of_rows_alone,
                .repairs = form == 1 || is_of_rows_alone ? 0 : -1,
                .factor = form % 2 == 0 || is_of_rows_alone ? 1 : -1.5f,
                .lower = ends[form][0],
                .upper = ends[form][1],
                .row_factors = form == 2 || form >= 4 ? floats(trial, rows) : NULL,
            },
    };
}
