import Checkout
import Foundation

/// As much of JSON Schema (draft 2020-12) as the schema of documents uses. What it does not know is a mistake too.
struct SchemaCheck {
    let root: [String: Any]
    let definitions: [String: [String: Any]]

    init() throws {
        let data = try Data(contentsOf: Checkout.file("examples/tenants/kex-net.schema.json"))
        root = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
        definitions = root["$defs"] as? [String: [String: Any]] ?? [:]
    }

    func mistakes(in value: Any) -> [String] { mistakes(in: value, by: root, at: "") }

    private func mistakes(in value: Any, by schema: [String: Any], at path: String) -> [String] {
        schema.flatMap { word, rule in mistakes(in: value, word, rule, schema, at: path) }
    }

    private func mistakes(in value: Any, _ word: String, _ rule: Any, _ schema: [String: Any], at path: String)
        -> [String]
    {
        let table = value as? [String: Any]
        let list = value as? [Any]
        switch (word, rule) {
        case ("$schema", _), ("title", _), ("description", _), ("$defs", _): return []
        case ("$ref", let name as String):
            guard let definition = definitions[String(name.dropFirst("#/$defs/".count))] else {
                return ["\(path): no \(name)"]
            }
            return mistakes(in: value, by: definition, at: path)
        case ("type", let type as String):
            let isRight =
                switch type {
                case "object": table != nil
                case "array": list != nil
                case "string": value is String
                case "boolean": value is Bool
                case "integer": value is Int
                default: false
                }
            return isRight ? [] : ["\(path): no \(type)"]
        case ("enum", let values as [Any]):
            return values.contains { "\($0)" == "\(value)" && ($0 is String) == (value is String) }
                ? [] : ["\(path): not one of \(values)"]
        case ("pattern", let pattern as String):
            guard let text = value as? String else { return [] }
            return text.range(of: pattern, options: .regularExpression) != nil
                ? [] : ["\(path): \(text) is not \(pattern)"]
        case ("minimum", let limit as Int):
            return (value as? Int).map { $0 < limit } ?? false ? ["\(path): too small"] : []
        case ("maximum", let limit as Int):
            return (value as? Int).map { $0 > limit } ?? false ? ["\(path): too large"] : []
        case ("minProperties", let limit as Int): return (table?.count ?? limit) < limit ? ["\(path): too few"] : []
        case ("maxProperties", let limit as Int): return (table?.count ?? limit) > limit ? ["\(path): too many"] : []
        case ("maxItems", let limit as Int): return (list?.count ?? limit) > limit ? ["\(path): too many"] : []
        case ("required", let keys as [String]):
            return keys.filter { table?[$0] == nil }.map { "\(path): no \($0)" }
        case ("items", let schema as [String: Any]):
            return (list ?? []).enumerated().flatMap { mistakes(in: $1, by: schema, at: "\(path)[\($0)]") }
        case ("oneOf", let schemas as [[String: Any]]):
            let outcomes = schemas.map { mistakes(in: value, by: $0, at: path) }
            let count = outcomes.count { $0.isEmpty }
            return count == 1 ? [] : ["\(path): \(count) of \(schemas.count) fit: \(outcomes)"]
        case ("properties", let properties as [String: [String: Any]]):
            return properties.flatMap { key, schema in
                table?[key].map { mistakes(in: $0, by: schema, at: "\(path).\(key)") } ?? []
            }
        case ("propertyNames", let schema as [String: Any]):
            return (table ?? [:]).keys.flatMap { mistakes(in: $0, by: schema, at: "\(path).\($0)") }
        case ("additionalProperties", false as Bool):
            let known = (schema["properties"] as? [String: Any] ?? [:]).keys
            return (table ?? [:]).keys.filter { !known.contains($0) }.map { "\(path): unknown \($0)" }
        case ("additionalProperties", let schema as [String: Any]):
            return (table ?? [:]).flatMap { mistakes(in: $1, by: schema, at: "\(path).\($0)") }
        default: return ["\(path): \(word) is not known here"]
        }
    }
}
