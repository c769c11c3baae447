package import Foundation

/// Checks values against a JSON Schema, as far as the schemas of this project go: a keyword that is not known here is an
/// error, so none is passed over. Source: JSON Schema 2020-12.
package struct JSONSchema {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let root: [String: Any]

    package init(file: URL) throws {
        guard let root = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        else { throw Failure(description: "\(file.path) is no object") }
        self.root = root
    }

    /// - Throws: what does not fit, with its place.
    package func check(_ json: Data) throws {
        try check(JSONSerialization.jsonObject(with: json, options: .fragmentsAllowed), against: root, at: "$")
    }

    private func check(_ value: Any, against schema: Any, at place: String) throws {
        if let isAllowed = schema as? Bool {
            guard isAllowed else { throw Failure(description: "\(place) is not allowed") }
            return
        }
        guard let schema = schema as? [String: Any] else { throw Failure(description: "no schema for \(place)") }
        for (keyword, rule) in schema {
            guard try fits(value, keyword, rule, schema, at: place)
            else { throw Failure(description: "\(place) = \(value) breaks \(keyword): \(rule)") }
        }
    }

    private func fits(_ value: Any, _ keyword: String, _ rule: Any, _ schema: [String: Any], at place: String) throws
        -> Bool
    {
        switch (keyword, rule) {
        case ("$schema", _), ("$defs", _), ("title", _), ("description", _): return true
        case ("$ref", let path as String):
            let parts = path.split(separator: "/").dropFirst()
            let target = parts.reduce(root as Any?) { ($0 as? [String: Any])?[String($1)] }
            guard let target else { throw Failure(description: "\(path) leads nowhere") }
            try check(value, against: target, at: place)
            return true
        case ("type", let type as String): return isOf(type, value)
        case ("type", let types as [String]): return types.contains { isOf($0, value) }
        case ("const", let constant as String): return value as? String == constant
        case ("enum", let values as [String]): return (value as? String).map(values.contains) ?? false
        case ("pattern", let pattern as String):
            guard let text = value as? String else { return true }
            return try text.firstMatch(of: Regex(pattern)) != nil
        case ("minimum", let least as NSNumber):
            return number(value).map { $0.doubleValue >= least.doubleValue } ?? true
        case ("maximum", let most as NSNumber):
            return number(value).map { $0.doubleValue <= most.doubleValue } ?? true
        case ("minItems", let least as Int): return (value as? [Any]).map { $0.count >= least } ?? true
        case ("maxItems", let most as Int): return (value as? [Any]).map { $0.count <= most } ?? true
        case ("items", _):
            for (index, item) in (value as? [Any] ?? []).enumerated() {
                try check(item, against: rule, at: "\(place)[\(index)]")
            }
            return true
        case ("required", let names as [String]):
            guard let object = value as? [String: Any] else { return true }
            return names.allSatisfy { object[$0] != nil }
        case ("properties", let properties as [String: Any]):
            for (name, item) in value as? [String: Any] ?? [:] {
                if let rule = properties[name] { try check(item, against: rule, at: "\(place).\(name)") }
            }
            return true
        case ("additionalProperties", let isAllowed as Bool) where !isAllowed:
            let known = schema["properties"] as? [String: Any] ?? [:]
            return (value as? [String: Any] ?? [:]).keys.allSatisfy { known[$0] != nil }
        case ("oneOf", let choices as [Any]):
            return choices.count { (try? check(value, against: $0, at: place)) != nil } == 1
        default: throw Failure(description: "the keyword \(keyword) at \(place) is not known here")
        }
    }

    private func number(_ value: Any) -> NSNumber? { isBoolean(value) ? nil : value as? NSNumber }

    private func isBoolean(_ value: Any) -> Bool { (value as? NSNumber).map { $0.objCType.pointee == 99 } ?? false }

    private func isOf(_ type: String, _ value: Any) -> Bool {
        switch type {
        case "null": value is NSNull
        case "boolean": isBoolean(value)
        case "integer": number(value).map { $0.doubleValue == $0.doubleValue.rounded() } ?? false
        case "string": value is String
        case "array": value is [Any]
        case "object": value is [String: Any]
        default: false
        }
    }
}
