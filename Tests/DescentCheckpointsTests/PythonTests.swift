import Descent
import DescentCheckpoints
import Foundation
import TestSupport
import Testing

/// A Python that has safetensors: the one that `DESCENT_PYTHON` names, or `python3` on the path.
enum Python {
    /// Runs Python; whether it ends well.
    static func run(_ arguments: [String]) -> Bool {
        let words = ["env", ProcessInfo.processInfo.environment["DESCENT_PYTHON"] ?? "python3"] + arguments
        var copies: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        var process = pid_t()
        guard posix_spawn(&process, "/usr/bin/env", nil, nil, &copies, environ) == 0 else { return false }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status == 0
    }
}

@Suite(
    .enabled(
        if: Python.run(["-c", "import importlib.util as u, sys; sys.exit(u.find_spec('safetensors') is None)"]),
        "needs a Python with safetensors: `pip install safetensors numpy`, and `DESCENT_PYTHON` if it is not python3"))
struct PythonTests {
    private let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Peers/read_checkpoint.py").path

    @Test(arguments: 1...4) func `Python joins what several processes wrote to what one writes`(_ ranks: Int) throws {
        let folder = try TemporaryFolder()
        let layout = try SavedStates.layout()
        let state = try SavedStates.everything(of: layout, seed: 1, without: [.bfloat16, .int8])
        let parameters = TensorSet.random(layout, seed: 2)
        try state.write(to: folder["one.safetensors"], including: parameters)
        for error in state.write(to: folder["run.safetensors.index.json"], ranks: ranks, including: parameters) {
            try #require(error == nil)
        }
        #expect(Python.run([script, folder["run.safetensors.index.json"], folder["one.safetensors"]]))
        // What differs is found.
        let other = try SavedStates.everything(of: layout, seed: 2, without: [.bfloat16, .int8])
        try other.write(to: folder["one.safetensors"], including: parameters)
        #expect(!Python.run([script, folder["run.safetensors.index.json"], folder["one.safetensors"]]))
    }
}
