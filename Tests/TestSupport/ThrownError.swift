package import Descent

/// The error that a body throws; nil if it throws none.
package func thrownError(_ body: () throws -> Void) -> DescentError? {
    do { try body() } catch { return error as? DescentError }
    return nil
}
