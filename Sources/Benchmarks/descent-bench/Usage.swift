import Foundation

/// What `--help` prints.
enum Usage {
    static let text = """
        usage: descent-bench [workload...] [--chain name]... [--every] [--json] [--seconds s] [--threads n]
               descent-bench --plot file.svg [--sizes n,n...] [--peers file.json] [--json] [--seconds s] [--threads n]
               descent-bench [workload...] --ranks n,n...

        Measures chains of gradient transforms over the parameters of models, in turns with the fastest that they could
        be. Each measurement has a process of its own.

        workloads
        \(list(Workload.all.map { ($0.name, $0.summary) }))
          size-1000             about so many elements in square matrices; any number from 100 to a billion
        The first \(Workload.usual.count) are measured unless others are asked for; chains from adamw on, over matrices.

        chains
        \(list(BenchmarkChain.all.map { ($0.name, $0.summary) }))
        Unless others are asked for: \(BenchmarkChain.usual.map(\.name).joined(separator: ", ")).
        Those from adamw on clip by the global norm 1 first.

        --chain name   only this chain; can be given more than once
        --every        every optimizer and stage, which are the chains from adamw on, as a table in Markdown
        --json         a line of JSON for each measurement, in place of the table
        --seconds s    how long each measurement takes, without what it takes to get ready (3)
        --threads n    how many threads (as many as processors that the process may use)
        --plot file    draws the time of a step of full for models of different sizes, as SVG
        --sizes n,n    for --plot: how many elements (two for each factor of ten, from 1,000 to 100,000,000)
        --peers file   for --plot: draws what Tests/Peers/compare.py --sizes ... --json file has measured, too
        --ranks n,n    counts what each of so many ranks sends in a step with AdamW, and what it remembers between steps,
                       as a table in Markdown, in place of measuring time
        --in-turns     for Tests/Peers/compare.py: makes ready, then measures for so many seconds for each line read

        columns
          median, min  nanoseconds for each parameter element and update
          roofline     the same for bare passes. Up to own-norm they are the library's kernels over the same buffers: one
                       pass that only reads the gradient, one of the optimizer's kernel; for accumulate, an accumulating
                       pass for each micro-batch in place of the first. From adamw on, a pass for each sweep that does
                       nothing but read and write as many bytes.
          of it        the roofline's time over the chain's, as the median of all rounds: 1.00 is as fast as memory
          sweeps       how often an update goes through the gradients
          bytes        read and written for each element and update, as the plan says; a "<" if some parameters take less
          peak         the most memory that the process held: in all, and what it is for each element
          notes        over full, value, norm, adamw: the time over that of this chain, in turns
                       micro-batch: what one costs, and its time over a bare pass that reads two buffers and writes one

        keys of the JSON
          processor, operatingSystem, instructionSet, threads       what it was measured on
          workload, chain, tensors, elements                        what was measured
          nanosecondsPerElement: {median, minimum}                  of an update; with micro-batches, of a whole window
          rooflineNanosecondsPerElement: {median, minimum}          the same of bare passes
          rooflineRatio                                             column "of it"
          rounds                                                    how many turns chain and bare passes have taken
          sweeps, bytesPerElement                                   columns
          bytesAreUpperBound                                        whether some parameters take less
          peakResidentBytes                                         column "peak"
          rival, timeOverRival, bytesOverRival                      another chain, the time over its time in turns, and
                                                                    the bytes over its bytes; where there is one
          microBatch: {nanosecondsPerElement, timeOverBarePass}     for accumulate

        The environment variable DESCENT_INSTRUCTION_SET=portable|avx2|avx512 forces an instruction set.
        """

    /// Names and what they stand for, a line each.
    private static func list(_ entries: [(name: String, summary: String)]) -> String {
        entries.map { entry in
            "  " + entry.name.padding(toLength: 22, withPad: " ", startingAt: 0) + entry.summary
        }.joined(separator: "\n")
    }
}
