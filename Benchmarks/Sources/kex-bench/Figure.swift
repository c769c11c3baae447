import Foundation

/// What came out, as `--json` tells it.
struct Figure: Codable {
    let name: String
    /// The median of all rounds.
    let value: Double
    let unit: String
    /// The same of what it is compared with, in the same rounds.
    var reference: Double?
    /// The median of the rounds' own ratios.
    var ratio: Double?
    /// For the ratio if there is one, and else for the value.
    var goal: Double?
    var met: Bool?

    /// Least and greatest ratio, or value if there is no ratio. Not part of the JSON.
    var spread: ClosedRange<Double>?
    var goalText: String { goal.map { (isLeast ? "≥ " : "≤ ") + shortest($0) } ?? "" }
    /// Whether the goal is a least figure: above it is met, or below it is missed.
    private var isLeast: Bool {
        guard let goal, let met else { return false }
        return ((ratio ?? value) > goal) == met
    }

    enum CodingKeys: CodingKey {
        case name, value, unit, reference, ratio, goal, met
    }

    /// Every key is there, with `null` for what does not apply.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(value, forKey: .value)
        try container.encode(unit, forKey: .unit)
        try container.encode(reference, forKey: .reference)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(goal, forKey: .goal)
        try container.encode(met, forKey: .met)
    }
}

/// What a figure should be.
enum Goal {
    case atMost(Double)
    case atLeast(Double)

    var bound: Double {
        switch self {
        case .atMost(let bound), .atLeast(let bound): bound
        }
    }

    func isMet(by value: Double) -> Bool {
        switch self {
        case .atMost(let bound): value <= bound
        case .atLeast(let bound): value >= bound
        }
    }
}

extension Figure {
    /// - Parameters:
    ///   - values: one of each round.
    ///   - references: of the same rounds; none for a figure that stands for itself.
    init(_ name: String, _ values: [Double], _ unit: String, to references: [Double]? = nil, goal: Goal? = nil) {
        self.name = name
        self.unit = unit
        value = median(values)
        var judged = values
        if let references {
            reference = median(references)
            judged = zip(values, references).map { $0 / $1 }
            ratio = median(judged)
        }
        spread = (judged.min() ?? 0)...(judged.max() ?? 0)
        self.goal = goal?.bound
        met = goal?.isMet(by: ratio ?? value)
    }
}

func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// Three digits that matter, without the rest.
func shortest(_ number: Double) -> String {
    guard number.isFinite else { return "–" }
    switch abs(number) {
    case 1000...: return String(format: "%.0f", number)
    case 100...: return String(format: "%.0f", number)
    case 10...: return String(format: "%.1f", number)
    default: return String(format: "%.3g", number)
    }
}

/// The table that people read.
func table(of figures: [Figure]) -> String {
    let rows =
        [["figure", "value", "reference", "ratio", "spread", "goal", ""]]
        + figures.map { figure in
            [
                figure.name, "\(shortest(figure.value)) \(figure.unit)", figure.reference.map(shortest) ?? "",
                figure.ratio.map(shortest) ?? "",
                figure.spread.map { "\(shortest($0.lowerBound))–\(shortest($0.upperBound))" } ?? "", figure.goalText,
                figure.met.map { $0 ? "met" : "MISSED" } ?? "",
            ]
        }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
        zip(row, widths).enumerated().map { column, cell in
            let padding = String(repeating: " ", count: cell.1 - cell.0.count)
            return column == 0 || column > 4 ? cell.0 + padding : padding + cell.0
        }.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }.joined(separator: "\n")
}
