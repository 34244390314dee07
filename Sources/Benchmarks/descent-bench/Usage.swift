/// What `--help` prints.
enum Usage {
    static let text = """
        usage: descent-bench [workload...] [--chain name]... [--json] [--seconds s] [--threads n]

        Measures chains of gradient transforms over the parameters of models, in turns with the fastest that they could
        be. Each measurement has a process of its own.

        workloads
          gpt2-small   148 tensors, 124,439,808 elements
          resnet50     161 tensors, 25,557,032 elements
          mlp          6 tensors, 85,002 elements
          many-small   1,000 tensors, 256,000 elements
          square       24 matrices of 1,024 x 1,024, if asked for
          wide         24 matrices of 768 x 3,072, if asked for
        chains
          full         unscale and check, centralize, clip by global norm, AdamW
          full+norms   the same with three more norm clips
          clip         clip by global norm, SGD with momentum
          accumulate   four micro-batches, then full; times are for a whole window
          half         full, from Float16 gradients
          transposed   full, from gradients that lie with their columns as rows
          elsewhere    full, with updated parameters written to other memory
          masters      full, with parameters in bfloat16 and float32 masters
          rounding     full, with parameters in bfloat16 that are rounded at random
          value        unscale and check, clip by value, clip by global norm, AdamW
          own-value    the same with a stage that is not the library's
          norm         unscale and check, clip each tensor by norm, clip by global norm, AdamW
          own-norm     the same with a stage that is not the library's

        --chain name   only this chain; can be given more than once
        --json         a line of JSON for each measurement, in place of the table
        --seconds s    how long each measurement takes, without what it takes to get ready (3)
        --threads n    how many threads (as many as processors)
        --in-turns     for Tests/Peers/compare.py: makes ready, then measures for so many seconds for each line read

        columns
          median, min  nanoseconds for each parameter element and update
          roofline     the same for bare passes over the same buffers: one that only reads the gradient, one of the
                       optimizer's kernel; for accumulate, an accumulating pass for each micro-batch in place of the first
          of it        the roofline's time over the chain's, as the median of all rounds: 1.00 is as fast as memory
          sweeps       how often an update goes through the gradients
          bytes        read and written for each element and update
          peak         the most memory that the process held: in all, and what it is for each element
          notes        over full, value, norm: the time over that of this chain, in turns
                       micro-batch: what one costs, and its time over a bare pass that reads two buffers and writes one

        The environment variable DESCENT_INSTRUCTION_SET=portable|avx2|avx512 forces an instruction set.
        """
}
