import Foundation

/// What a sequence may do; `DESCENT_SEQUENCE_WITHOUT` names features that are left out, separated by commas.
///
/// With a fault that is known and not yet repaired, that leaves the others to be found.
enum Feature: String, CaseIterable {
    case copying, copyingWhileReceiving, copyingWhenReceived, flushWhileReceiving, receiving, emptyTensorsReceived,
        dropping, throwInPrepare
    case throwInFinish, veto, resuming, files, histograms, sharedScale, mistakes, notFinite, extremes
    case signedZeros, masks, freezing, companions, largeWeights, settingsThatRunOut, propagating, chains, halfPrecision
    case discarding, restricted

    /// The features that are not left out.
    static let chosen: Set<Feature> = {
        let text = ProcessInfo.processInfo.environment["DESCENT_SEQUENCE_WITHOUT"] ?? ""
        return Set(allCases).subtracting(text.split(separator: ",").compactMap { Feature(rawValue: String($0)) })
    }()
}
