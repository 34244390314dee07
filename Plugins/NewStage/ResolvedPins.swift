import Foundation
import PackagePlugin

/// What a package's dependencies were resolved to, as its `Package.resolved` says.
///
/// A plugin is told of versions, and not of branches and revisions.
struct ResolvedPins {
    private struct File: Decodable {
        struct Pin: Decodable {
            struct State: Decodable {
                let branch: String?
                let revision: String?
            }

            let identity: String
            let state: State
        }

        let pins: [Pin]
    }

    private let path: String
    private let file: File

    /// Reads the pins of a package.
    ///
    /// - Throws: ``Refusal`` if they cannot be read.
    init(of package: Package) throws {
        let url = package.directoryURL.appendingPathComponent("Package.resolved")
        path = url.path
        do {
            file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
        } catch {
            throw Refusal("\(path) cannot be read: \(error.localizedDescription)")
        }
    }

    /// The requirement of a manifest that a pin satisfies: a branch where there is one, or else a revision.
    ///
    /// - Throws: ``Refusal`` if there is no such pin.
    func requirement(of identity: String) throws -> String {
        let state = file.pins.first { $0.identity == identity }?.state
        if let branch = state?.branch { return "branch: \"\(branch)\"" }
        if let revision = state?.revision { return "revision: \"\(revision)\"" }
        throw Refusal("\(path) does not say which revision of \(identity) is used.")
    }
}
