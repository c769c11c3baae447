public import ArgumentParser
public import EUI64

extension AddressProfile: ExpressibleByArgument {}

/// Reads an argument with `parse`, or says what was expected.
func argument<Value>(
    _ expected: String,
    _ parse: @escaping @Sendable (String) -> Value?
) -> @Sendable (String) throws -> Value {
    { text in
        guard let value = parse(text) else { throw ValidationError("expected \(expected)") }
        return value
    }
}
