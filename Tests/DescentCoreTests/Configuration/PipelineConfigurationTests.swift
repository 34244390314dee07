import DescentCore
import DescentJSON
import Testing

/// How a pipeline runs, as a value and as JSON.
@Suite struct PipelineConfigurationTests {
    @Test(arguments: [
        (PipelineConfiguration(), "{}"),
        (PipelineConfiguration(nonFinite: .propagate), #"{"nonFinite":"propagate"}"#),
        (PipelineConfiguration(nonFinite: .skipAtMost(20)), #"{"nonFinite":{"skipAtMost":20}}"#),
        (PipelineConfiguration(missing: .skipParameter), #"{"missing":"skipParameter"}"#),
        (PipelineConfiguration(parameterCopy: .bfloat16), #"{"parameterCopy":"bfloat16"}"#),
        (
            PipelineConfiguration(reporting: [.updateRatio, .layerNorms]),
            #"{"reporting":["layerNorms","updateRatio"]}"#
        ),
    ]) func `is written as what differs from the default, and read back`(
        _ configuration: PipelineConfiguration, _ text: String
    ) throws {
        #expect(try JSON(encoding: configuration).description == text)
        #expect(try JSON(parsing: text).decode(PipelineConfiguration.self) == configuration)
    }

    @Test(arguments: [
        (#"{"nonFinite":"skp"}"#, "skp"), (#"{"nonFinite":{"skipAtMost":"x"}}"#, "skipAtMost"),
        (#"{"reporting":["layerNorm"]}"#, "did you mean \"layerNorms\"?"), (#"{"parameterCopy":"float8"}"#, "float8"),
    ]) func `what is not one is refused with what was found`(_ text: String, _ phrase: String) {
        let error = #expect(throws: DescentError.self) {
            try JSON(parsing: text).decode(PipelineConfiguration.self)
        }
        #expect(error?.message.contains(phrase) == true, "\(error?.message ?? "")")
    }
}
