/// Whose settings hold for a stage that was changed while training, once training is resumed.
public enum ResumedSettings: String, Sendable, Hashable, Codable {
    /// Those that it was changed to, which the state has kept.
    case saved
    /// Those that it is built with now.
    case given
}
