import JSONText
import Testing

@Suite("JSON that is written") struct JSONValueTests {
    @Test(
        "has its one text",
        arguments: [
            (.null, "null"), (.bool(true), "true"), (.number(Int64(-5)), "-5"), (.number(UInt64.max), "\(Int64.max)"),
            (.text("a\"b\\c\n\u{1}é"), #""a\"b\\c\u000a\u0001é""#), (.list([]), "[]"), (.object([]), "{}"),
            (.list([.number(UInt8(1)), .null]), "[1, null]"),
            (.members(["a": .bool(false), "b": nil, "c": .words(5)]), #"{"a": false, "c": "5"}"#),
            (
                .members(["a": .list([.members(["b": .text("c")])]), "d": .null]),
                """
                {
                  "a": [
                    {"b": "c"}
                  ],
                  "d": null
                }
                """
            ),
        ] as [(JSONValue, String)]
    )
    func text(value: JSONValue, text: String) { #expect(value.text == text) }

    @Test("is read back by our own reader")
    func roundTrip() {
        let value = JSONValue.members(["name": .text("\"\\\u{7}\u{1f600}"), "list": .list([.members(["x": .null])])])
        #expect(JSONObject(value.text.utf8)?.text("name") == "\"\\\u{7}\u{1f600}")
    }
}
