/// The master copies of parameters of 16 bits, which a pipeline keeps behind all other components.
enum MasterParameters {
    /// Its name among the components.
    static let name = "MasterParameters"
    /// What it keeps.
    static let slot = Slot("parameters")
}
