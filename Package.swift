// swift-tools-version: 6.2
import PackageDescription

/// For every Swift target of this package. The C targets are module maps only.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// Libraries in addition mark every unsafe expression, so that `grep unsafe` is the audit.
let librarySettings = settings + [.strictMemorySafety()]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// Whether it is scripts/build-release that builds: without tests, linked as the programs are shipped.
let isRelease = Context.environment["KEX_RELEASE"] != nil

/// What only `kex-http` is built with.
let http: [Target.Dependency] = [
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOExtras", package: "swift-nio-extras"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
    .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
]

/// A group: the libraries of a folder of `Sources/`, each after those that it imports.
func libraries(in folder: String, _ libraries: [(name: String, dependencies: [Target.Dependency])]) -> [Target] {
    libraries.map { library in
        .target(
            name: library.name,
            dependencies: library.dependencies,
            path: "Sources/\(folder)/\(library.name)",
            swiftSettings: librarySettings
        )
    }
}

/// A library that other projects may use stands beside the programs, for its path is part of its name.
func publicLibrary(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: librarySettings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: librarySettings)
}

/// A daemon, which scripts/build-release links to be small in memory, at addresses that nobody can tell beforehand: see
/// docs/decisions/0012-daemons-in-one-piece.md.
func daemon(_ name: String, isWhollyStatic: Bool, _ dependencies: [Target.Dependency]) -> Target {
    let small = ["-use-ld=lld", "-Xlinker", "--icf=safe", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs"]
    let kind =
        isWhollyStatic
        ? ["-static-executable", "-Xclang-linker", "-static-pie"]
        : ["-Xclang-linker", "-static-libgcc"]
    return .executableTarget(
        name: name,
        dependencies: dependencies,
        swiftSettings: librarySettings,
        linkerSettings: isRelease ? [.unsafeFlags(small + kind)] : []
    )
}

/// The suites that are built: all, or those that scripts/unit names.
let chosenSuites = Context.environment["KEX_SUITES"].map { Set($0.split(separator: " ").map(String.init)) }

/// What several suites use.
func support(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Tests/Support/\(name)", swiftSettings: settings)
}

/// The suites of a group, in the folder of `Tests/` that has its name; those of programs and public libraries stand at the top.
func suites(in folder: String? = nil, _ suites: [(name: String, dependencies: [Target.Dependency])]) -> [Target] {
    suites.map { suite in
        .testTarget(
            name: suite.name,
            dependencies: suite.dependencies,
            path: (["Tests", folder, suite.name] as [String?]).compactMap(\.self).joined(separator: "/"),
            swiftSettings: settings
        )
    }
}

/// The program that libFuzzer runs in. It needs its runtime, so nothing but `scripts/fuzz` builds it.
let fuzzing: [Target] =
    Context.environment["KEX_FUZZ"] == nil
    ? []
    : [
        .executableTarget(
            name: "kex-fuzz",
            dependencies: ["FuzzTargets"],
            path: "Fuzz/Runner",
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]
        )
    ]

// The rows of docs/ARCHITECTURE.md, lowest first: a target imports what is above it here (scripts/check-imports).

let cLibraries: [Target] = [
    .systemLibrary(name: "CLinux", path: "Sources/C/CLinux"),
    .systemLibrary(
        name: "CMNL",
        path: "Sources/C/CMNL",
        pkgConfig: "libmnl",
        providers: [.apt(["libmnl-dev"])]
    ),
    .systemLibrary(
        name: "CNFTables",
        path: "Sources/C/CNFTables",
        pkgConfig: "libnftables",
        providers: [.apt(["libnftables-dev"])]
    ),
    .systemLibrary(name: "CINIH", path: "Sources/C/CINIH", pkgConfig: "inih", providers: [.apt(["libinih-dev"])]),
    .systemLibrary(
        name: "CSodium",
        path: "Sources/C/CSodium",
        pkgConfig: "libsodium",
        providers: [.apt(["libsodium-dev"])]
    ),
    .systemLibrary(
        name: "CMosquitto",
        path: "Sources/C/CMosquitto",
        pkgConfig: "libmosquitto",
        providers: [.apt(["libmosquitto-dev"])]
    ),
    .systemLibrary(
        name: "CQREncode",
        path: "Sources/C/CQREncode",
        pkgConfig: "libqrencode",
        providers: [.apt(["libqrencode-dev"])]
    ),
]

/// What everything is made of. No I/O, no clock.
let valueLibraries = libraries(
    in: "Values",
    [
        ("NetworkAddresses", []),
        ("Secrets", []),
        ("WireGuardTypes", ["NetworkAddresses", "Secrets"]),
        ("Keys", ["CSodium", "Secrets", "WireGuardTypes"]),
        ("SourceLimits", ["NetworkAddresses"]),
        ("JSONText", []),
        ("QRCodes", ["CQREncode"]),
        ("TLSFiles", []),
        ("Time", []),
    ]
)

/// Key → MAC → interface identifier → link-local address.
let eui64 = publicLibrary("EUI64", ["NetworkAddresses", "WireGuardTypes"])

/// The machine, without its network interfaces.
let systemLibraries = libraries(
    in: "System",
    [
        ("SystemCalls", ["CLinux", "NetworkAddresses", "Time", system]),
        ("EventLoop", ["CLinux", "SystemCalls", "Time", system]),
        ("CommandLineOptions", []),
        ("ConfigurationFiles", ["CINIH", "SystemCalls", "WireGuardTypes", system]),
        ("Systemd", ["SystemCalls", "Time", logging, system]),
        (
            "ServiceProgram",
            ["CommandLineOptions", "ConfigurationFiles", "SystemCalls", "Systemd", "Time", logging, system]
        ),
        ("PacketChannel", ["EventLoop", "SystemCalls", "Time", system]),
        ("Mosquitto", ["CLinux", "CMosquitto", "EventLoop", "SystemCalls", "Time", "TLSFiles", system]),
    ]
)

/// Kernel objects.
let kernelLibraries = libraries(
    in: "Kernel",
    [
        ("Netlink", ["CMNL", system]),
        ("LinkControl", ["CMNL", "Netlink", "NetworkAddresses", system]),
        ("Firewall", ["CNFTables"]),
        (
            "PacketHold",
            [
                "CLinux", "Firewall", "LinkControl", "Netlink", "NetworkAddresses", "SystemCalls", "Time",
                "WireGuardTypes", system,
            ]
        ),
        (
            "WireGuardControl",
            ["CMNL", "Keys", "Netlink", "NetworkAddresses", "Secrets", "SystemCalls", "Time", "WireGuardTypes", system]
        ),
        ("TrafficTap", ["CLinux", "NetworkAddresses", "SystemCalls", system]),
        (
            "PathProbe",
            ["CLinux", "Keys", "NetworkAddresses", "SourceLimits", "SystemCalls", "Time", "WireGuardTypes", system]
        ),
        (
            "Relay",
            [
                "CLinux", "EventLoop", "NetworkAddresses", "PathProbe", "SourceLimits", "SystemCalls", "Time",
                "WireGuardTypes", system,
            ]
        ),
    ]
)

/// Entries of a VXLAN interface's forwarding database.
let vxlanFdb = publicLibrary("VXLANFdb", ["CMNL", "Netlink", "NetworkAddresses", "SystemCalls", "Time", system])

/// All that knows key exchange.
let gatewayLibraries = libraries(
    in: "Gateway",
    [
        ("GatewayEvents", ["SystemCalls", "Systemd", "Time", logging]),
        ("KexProtocol", ["WireGuardTypes"]),
        (
            "HandlerChannel",
            ["KexProtocol", "NetworkAddresses", "PacketChannel", "SystemCalls", "Time", "WireGuardTypes"]
        ),
        (
            "KexConfiguration",
            ["ConfigurationFiles", "EUI64", "KexProtocol", "NetworkAddresses", "SystemCalls"]
        ),
        (
            "BusConfiguration",
            ["ConfigurationFiles", "KexConfiguration", "KexProtocol", "NetworkAddresses", "TLSFiles"]
        ),
        (
            "HTTPConfiguration",
            ["BusConfiguration", "ConfigurationFiles", "KexConfiguration", "KexProtocol", "NetworkAddresses"]
        ),
        ("BusMessages", ["JSONText", "KexProtocol", "Keys", "NetworkAddresses", "WireGuardTypes"]),
        ("GatewayChoice", ["KexProtocol", "WireGuardTypes"]),
        ("KexGateway", ["EUI64", "KexProtocol", "NetworkAddresses", "SourceLimits", "Time", "WireGuardTypes"]),
        ("GatewayState", ["CSodium", "KexGateway", "KexProtocol", "SystemCalls", "Time", "WireGuardTypes", system]),
        (
            "KexDomain",
            [
                "ConfigurationFiles", "EUI64", "GatewayEvents", "GatewayState", "HandlerChannel", "KexConfiguration",
                "KexGateway", "KexProtocol", "LinkControl", "Netlink", "NetworkAddresses", "SourceLimits",
                "SystemCalls", "Systemd", "Time", "VXLANFdb", "WireGuardControl", "WireGuardTypes", logging, system,
            ]
        ),
        (
            "KexServer",
            [
                "EventLoop", "GatewayEvents", "HandlerChannel", "KexProtocol", "NetworkAddresses", "PacketChannel",
                "SourceLimits", "SystemCalls", "Systemd", "Time", logging, system,
            ]
        ),
        (
            "KexHTTP",
            [
                "EventLoop", "GatewayEvents", "HandlerChannel", "JSONText", "KexProtocol", "NetworkAddresses",
                "PacketChannel", "SourceLimits", "SystemCalls", "Systemd", "Time", "WireGuardTypes", logging, system,
            ] + http
        ),
        (
            "KexMQTT",
            [
                "BusMessages", "GatewayChoice", "HandlerChannel", "KexProtocol", "Keys", "NetworkAddresses", "Time",
                "WireGuardTypes",
            ]
        ),
    ]
)

/// Direct links between machines that share a hub.
let linkLibraries = libraries(
    in: "Links",
    [
        ("LinkFacts", ["Keys", "NetworkAddresses", "Secrets", "Time", "WireGuardTypes"]),
        ("LinkMessages", ["Keys", "LinkFacts", "NetworkAddresses", "WireGuardTypes"]),
        (
            "LinkMember",
            [
                "Keys", "LinkFacts", "LinkMessages", "NetworkAddresses", "PathProbe", "SourceLimits", "Time",
                "WireGuardTypes",
            ]
        ),
        (
            "LinkConfiguration",
            ["ConfigurationFiles", "LinkMember", "NetworkAddresses", "WireGuardTypes"]
        ),
        (
            "LinkImport",
            ["ConfigurationFiles", "LinkConfiguration", "LinkMember", "NetworkAddresses", "WireGuardTypes"]
        ),
        (
            "LinkKeeper",
            [
                "ConfigurationFiles", "Keys", "LinkControl", "LinkFacts", "LinkMember", "LinkMessages",
                "NetworkAddresses", "SystemCalls", "WireGuardControl", "WireGuardTypes",
            ]
        ),
        (
            "LinkChannel",
            [
                "EventLoop", "Keys", "LinkMember", "NetworkAddresses", "Secrets", "SystemCalls", "Time",
                "WireGuardTypes", system,
            ]
        ),
    ]
)

/// Networks of tenants over nodes in several places.
let tenantLibraries = libraries(
    in: "Tenants",
    [
        ("TenantModel", ["NetworkAddresses", "WireGuardTypes"]),
        ("TenantFile", ["ConfigurationFiles", "NetworkAddresses", "TenantModel", "WireGuardTypes", yams]),
        ("TenantLedger", ["Keys", "NetworkAddresses", "TenantModel"]),
        ("TenantLedgerFile", ["SystemCalls", "TenantLedger", system]),
        ("TenantPlan", ["JSONText", "NetworkAddresses", "TenantModel", "WireGuardTypes"]),
        ("TenantGraph", ["TenantModel", "TenantPlan"]),
        ("TenantExport", ["NetworkAddresses", "TenantModel", "TenantPlan", "WireGuardTypes"]),
        ("TenantProof", ["NetworkAddresses", "TenantModel", "TenantPlan", "WireGuardTypes"]),
    ]
)

let programs = [
    daemon(
        "kexd",
        isWhollyStatic: true,
        [
            "CommandLineOptions", "ConfigurationFiles", "EventLoop", "GatewayEvents", "KexConfiguration", "KexProtocol",
            "KexServer", "NetworkAddresses", "ServiceProgram", "SystemCalls", "Systemd", logging, system,
        ]
    ),
    program(
        "kex-http",
        [
            "BusConfiguration", "CommandLineOptions", "ConfigurationFiles", "EventLoop", "GatewayEvents",
            "HTTPConfiguration", "KexConfiguration", "KexHTTP", "NetworkAddresses", "ServiceProgram", "SystemCalls",
            "Systemd", "Time", logging, system,
        ]
    ),
    daemon(
        "kex-mqtt",
        isWhollyStatic: false,
        [
            "BusConfiguration", "BusMessages", "CommandLineOptions", "ConfigurationFiles", "EventLoop", "GatewayEvents",
            "HandlerChannel", "KexConfiguration", "KexMQTT", "KexProtocol", "Keys", "Mosquitto", "NetworkAddresses",
            "PacketChannel", "ServiceProgram", "SystemCalls", "Systemd", "Time", "TLSFiles", logging, system,
        ]
    ),
    daemon(
        "kex-handler",
        isWhollyStatic: false,
        [
            "CommandLineOptions", "ConfigurationFiles", "EventLoop", "GatewayEvents", "GatewayState", "HandlerChannel",
            "KexConfiguration", "KexDomain", "KexGateway", "KexProtocol", "LinkControl", "Netlink", "PacketChannel",
            "ServiceProgram", "SourceLimits", "SystemCalls", "Systemd", "Time", "VXLANFdb", "WireGuardTypes", logging,
            system,
        ]
    ),
    daemon(
        "kex-link",
        isWhollyStatic: false,
        [
            "CommandLineOptions", "ConfigurationFiles", "EventLoop", "Keys", "LinkChannel", "LinkConfiguration",
            "LinkControl", "LinkFacts", "LinkImport", "LinkKeeper", "LinkMember", "Netlink", "NetworkAddresses",
            "PacketHold", "PathProbe", "Relay", "ServiceProgram", "SourceLimits", "SystemCalls", "Systemd", "Time",
            "TrafficTap", "WireGuardControl", "WireGuardTypes", logging, system,
        ]
    ),
    program(
        "kex-cleanup",
        [
            "CommandLineOptions", "ConfigurationFiles", "HandlerChannel", "KexConfiguration", "KexProtocol",
            "SystemCalls",
            argumentParser, system,
        ]
    ),
    program(
        "kex-client",
        [
            "CLinux", "CommandLineOptions", "ConfigurationFiles", "EUI64", "KexProtocol", "Keys", "LinkControl",
            "Netlink", "NetworkAddresses", "SystemCalls", "Time", "VXLANFdb", "WireGuardControl", "WireGuardTypes",
            argumentParser, system,
        ]
    ),
    program(
        "kex-net",
        [
            "CommandLineOptions", "ConfigurationFiles", "JSONText", "Keys", "NetworkAddresses", "QRCodes",
            "SystemCalls", "TenantExport", "TenantFile", "TenantGraph", "TenantLedger", "TenantLedgerFile",
            "TenantModel", "TenantPlan", "TenantProof", "WireGuardTypes", argumentParser, system,
        ]
    ),
]

/// Plays thousands of routers, for tests and benchmarks.
let crowd = Target.executableTarget(
    name: "kex-crowd",
    dependencies: [
        "CSodium", "GatewayState", "KexGateway", "KexProtocol", "Keys", "NetworkAddresses", "SystemCalls", "Time",
        "WireGuardControl", "WireGuardTypes", system,
    ],
    path: "Tests/Support/Crowd",
    swiftSettings: settings
)

/// Writes a ledger, for tests that stop it in the middle.
let scribe = Target.executableTarget(
    name: "kex-scribe",
    dependencies: ["NetworkAddresses", "TenantLedger", "TenantLedgerFile", "TenantModel"],
    path: "Tests/Support/Scribe",
    swiftSettings: settings
)

let testSupport = [
    support("Checkout"),
    support("Patience"),
    support("KernelTestSupport", ["LinkControl", "Netlink", "NetworkAddresses", system]),
    support("FieldRouter", ["Patience"]),
    support("LinkLaboratory", ["CLinux", "Patience"]),
    support("RecordingLog", [logging]),
    support("JSONSchema"),
    support("Surroundings"),
    support("TenantSamples", ["NetworkAddresses", "TenantModel", "WireGuardTypes"]),
    support(
        "VirtualNetwork",
        ["Keys", "LinkFacts", "LinkKeeper", "LinkMember", "NetworkAddresses", "Time", "WireGuardTypes"]
    ),
    support("WireGuardScenes"),
    // Parsers of outside bytes, for libFuzzer and for the corpus that it found
    .target(
        name: "FuzzTargets",
        dependencies: [
            "BusMessages", "ConfigurationFiles", "GatewayState", "HandlerChannel", "HTTPConfiguration",
            "KexConfiguration", "KexProtocol", "Keys", "LinkChannel", "LinkConfiguration", "LinkControl", "LinkFacts",
            "LinkImport", "LinkMessages", "Netlink", "NetworkAddresses", "PathProbe", "TenantFile", "TenantLedger",
            "TenantModel", "Time",
            "VXLANFdb", "WireGuardControl", "WireGuardTypes",
        ],
        path: "Fuzz/Targets",
        swiftSettings: settings
    ),
]

let valueSuites = suites(
    in: "Values",
    [
        ("NetworkAddressesTests", ["NetworkAddresses"]),
        ("WireGuardTypesTests", ["NetworkAddresses", "WireGuardTypes"]),
        ("SourceLimitsTests", ["NetworkAddresses", "SourceLimits"]),
        ("JSONTextTests", ["JSONText"]),
        ("QRCodesTests", ["QRCodes"]),
        ("KeysTests", ["Keys", "Secrets", "WireGuardTypes"]),
        ("TimeTests", ["Time"]),
    ]
)

let systemSuites = suites(
    in: "System",
    [
        ("SystemCallsTests", ["NetworkAddresses", "SystemCalls", "Time", system]),
        ("EventLoopTests", ["EventLoop", "SystemCalls", "Time", system]),
        ("CommandLineOptionsTests", ["CommandLineOptions"]),
        ("SystemdTests", ["RecordingLog", "SystemCalls", "Systemd", "Time", logging, system]),
        (
            "PacketChannelTests",
            ["EventLoop", "PacketChannel", "Patience", "Surroundings", "SystemCalls", "Time", system]
        ),
        (
            "MosquittoTests",
            ["EventLoop", "Mosquitto", "NetworkAddresses", "Patience", "SystemCalls", "Time", "TLSFiles", system]
        ),
    ]
)

let kernelSuites = suites(
    in: "Kernel",
    [
        ("NetlinkTests", ["CMNL", "KernelTestSupport", "Netlink", "Surroundings", system]),
        (
            "LinkControlTests",
            ["KernelTestSupport", "LinkControl", "Netlink", "NetworkAddresses", "Surroundings", system]
        ),
        ("FirewallTests", ["Firewall", "KernelTestSupport", "Surroundings"]),
        (
            "PacketHoldTests",
            [
                "CLinux", "Firewall", "KernelTestSupport", "LinkControl", "NetworkAddresses", "PacketHold", "Patience",
                "Surroundings", "SystemCalls", "Time", "WireGuardTypes", system,
            ]
        ),
        (
            "WireGuardControlTests",
            [
                "KernelTestSupport", "Keys", "Netlink", "NetworkAddresses", "Patience", "Surroundings", "SystemCalls",
                "WireGuardControl", "WireGuardTypes", system,
            ]
        ),
        (
            "TrafficTapTests",
            ["KernelTestSupport", "NetworkAddresses", "Surroundings", "SystemCalls", "Time", "TrafficTap", system]
        ),
        (
            "PathProbeTests",
            [
                "KernelTestSupport", "Keys", "NetworkAddresses", "PathProbe", "SourceLimits", "Surroundings",
                "SystemCalls", "Time", "WireGuardTypes", system,
            ]
        ),
        (
            "RelayTests",
            [
                "EventLoop", "Keys", "NetworkAddresses", "PathProbe", "Relay", "SourceLimits", "SystemCalls", "Time",
                "WireGuardTypes", system,
            ]
        ),
    ]
)

let gatewaySuites = suites(
    in: "Gateway",
    [
        ("GatewayEventsTests", ["GatewayEvents", "RecordingLog", "SystemCalls", "Systemd", "Time", logging]),
        ("KexProtocolTests", ["KexProtocol", "WireGuardTypes"]),
        ("HandlerChannelTests", ["Checkout", "HandlerChannel", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]),
        (
            "KexConfigurationTests",
            [
                "BusConfiguration", "Checkout", "ConfigurationFiles", "EUI64", "HTTPConfiguration", "kex-handler",
                "kex-http", "kex-mqtt", "KexConfiguration", "KexProtocol", "NetworkAddresses", "TLSFiles",
                "WireGuardTypes",
            ]
        ),
        ("BusMessagesTests", ["BusMessages", "KexProtocol", "Keys", "NetworkAddresses", "WireGuardTypes"]),
        ("GatewayChoiceTests", ["GatewayChoice", "KexProtocol", "WireGuardTypes"]),
        (
            "KexGatewayTests",
            ["EUI64", "KexGateway", "KexProtocol", "NetworkAddresses", "SourceLimits", "Time", "WireGuardTypes"]
        ),
        (
            "GatewayStateTests",
            [
                "GatewayState", "KexGateway", "KexProtocol", "Surroundings", "SystemCalls", "Time", "WireGuardTypes",
                system,
            ]
        ),
        (
            "KexDomainTests",
            [
                "EUI64", "GatewayState", "HandlerChannel", "KexConfiguration", "KexDomain", "KexGateway", "KexProtocol",
                "LinkControl", "Netlink", "NetworkAddresses", "Patience", "RecordingLog", "SystemCalls", "Time",
                "VXLANFdb", "WireGuardControl", "WireGuardTypes", logging,
            ]
        ),
        (
            "KexServerTests",
            [
                "HandlerChannel", "kexd", "KexProtocol", "KexServer", "NetworkAddresses", "Patience", "RecordingLog",
                "SourceLimits", "SystemCalls", "Time", "WireGuardTypes", logging, system,
            ]
        ),
        (
            "KexHTTPTests",
            [
                "FieldRouter", "HandlerChannel", "kex-http", "KexHTTP", "KexProtocol", "NetworkAddresses", "Patience",
                "RecordingLog", "SourceLimits", "SystemCalls", "Time", "WireGuardTypes", logging, system,
            ]
        ),
        (
            "KexMQTTTests",
            [
                "BusMessages", "HandlerChannel", "KexMQTT", "KexProtocol", "Keys", "NetworkAddresses", "Time",
                "WireGuardTypes",
            ]
        ),
    ]
)

let linkSuites = suites(
    in: "Links",
    [
        (
            "LinkLaboratoryTests",
            [
                "EventLoop", "Keys", "LinkLaboratory", "NetworkAddresses", "PathProbe", "Relay", "Surroundings",
                "SystemCalls", "Time", "WireGuardControl", "WireGuardTypes", system,
            ]
        ),
        (
            "WireGuardSceneTests",
            [
                "Checkout", "LinkFacts", "LinkLaboratory", "NetworkAddresses", "Surroundings", "Time", "VirtualNetwork",
                "WireGuardScenes", "WireGuardTypes",
            ]
        ),
        (
            "LinkFactsTests",
            ["Checkout", "Keys", "LinkFacts", "NetworkAddresses", "Secrets", "Time", "WireGuardTypes"]
        ),
        (
            "LinkMessagesTests",
            [
                "Checkout", "Keys", "LinkFacts", "LinkMessages", "NetworkAddresses", "PathProbe", "Secrets", "Time",
                "WireGuardTypes",
            ]
        ),
        (
            "LinkMemberTests",
            [
                "Keys", "LinkFacts", "LinkMember", "LinkMessages", "NetworkAddresses", "PathProbe", "SourceLimits",
                "Surroundings", "Time", "VirtualNetwork", "WireGuardTypes",
            ]
        ),
        (
            "LinkConfigurationTests",
            ["ConfigurationFiles", "LinkConfiguration", "LinkMember", "NetworkAddresses", "WireGuardTypes"]
        ),
        (
            "LinkImportTests",
            [
                "ConfigurationFiles", "LinkConfiguration", "LinkImport", "LinkMember", "NetworkAddresses",
                "WireGuardTypes",
            ]
        ),
        (
            "LinkKeeperTests",
            [
                "ConfigurationFiles", "Keys", "LinkControl", "LinkFacts", "LinkKeeper", "LinkMember", "LinkMessages",
                "NetworkAddresses", "SystemCalls", "WireGuardControl", "WireGuardTypes",
            ]
        ),
        (
            "LinkChannelTests",
            [
                "EventLoop", "Keys", "LinkChannel", "LinkMember", "NetworkAddresses", "SystemCalls", "Time",
                "WireGuardTypes", system,
            ]
        ),
    ]
)

let tenantSuites = suites(
    in: "Tenants",
    [
        ("TenantModelTests", ["NetworkAddresses", "TenantModel", "WireGuardTypes"]),
        (
            "TenantFileTests",
            ["Checkout", "ConfigurationFiles", "NetworkAddresses", "TenantFile", "TenantModel", "TenantSamples", yams]
        ),
        ("TenantLedgerTests", ["NetworkAddresses", "TenantLedger", "TenantModel", "WireGuardTypes"]),
        (
            "TenantLedgerFileTests",
            [
                "kex-scribe", "NetworkAddresses", "Surroundings", "SystemCalls", "TenantLedger",
                "TenantLedgerFile", "TenantModel", system,
            ]
        ),
        (
            "TenantPlanTests",
            ["JSONText", "NetworkAddresses", "TenantModel", "TenantPlan", "TenantSamples", "WireGuardTypes"]
        ),
        ("TenantGraphTests", ["TenantGraph", "TenantModel", "TenantPlan", "TenantSamples"]),
        (
            "TenantProofTests",
            [
                "Checkout", "NetworkAddresses", "Surroundings", "TenantFile", "TenantModel",
                "TenantPlan", "TenantProof", "TenantSamples", "WireGuardTypes",
            ]
        ),
    ]
)

let topSuites =
    suites(
        [
            ("DocumentsTests", ["Checkout"]),
            ("EUI64Tests", ["EUI64", "NetworkAddresses", "WireGuardTypes"]),
            (
                "VXLANFdbTests",
                ["KernelTestSupport", "LinkControl", "Netlink", "NetworkAddresses", "Surroundings", "VXLANFdb", system]
            ),
            (
                "KexClientTests",
                [
                    "Checkout", "CLinux", "ConfigurationFiles", "EUI64", "kex-client", "KexProtocol",
                    "NetworkAddresses", "Surroundings", "SystemCalls", "Time", "WireGuardTypes", system,
                ]
            ),
            ("KexNetTests", ["Checkout", "kex-net", "Surroundings"]),
            (
                "KexLinkTests",
                [
                    "Checkout", "EventLoop", "JSONSchema", "kex-link", "LinkChannel", "LinkMember", "NetworkAddresses",
                    "SystemCalls", "Time", "WireGuardTypes", system,
                ]
            ),
            ("FuzzTests", ["Checkout", "FuzzTargets"]),
        ]
    ) + [
        // The programs themselves, in network namespaces
        .testTarget(
            name: "NetnsTests",
            dependencies: [
                "BusMessages", "Checkout", "EUI64", "EventLoop", "FieldRouter", "HandlerChannel", "JSONSchema",
                "kex-cleanup",
                "kex-client", "kex-crowd", "kex-handler", "kex-http", "kex-link", "kex-mqtt", "kexd", "KexGateway",
                "KexProtocol", "Keys", "LinkFacts", "LinkLaboratory", "Mosquitto", "NetworkAddresses", "PacketChannel",
                "Patience", "Surroundings", "SystemCalls", "Time", "TLSFiles", "WireGuardTypes", logging, system,
            ],
            path: "Tests/Netns",
            swiftSettings: settings
        ),
        // The installed package, in machines of its own
        .testTarget(
            name: "SystemTests",
            dependencies: ["Checkout", "Patience", "Surroundings", "WireGuardScenes"],
            path: "Tests/Machines",
            exclude: [
                "agent.py", "lab.sh", "links.sh", "mesh", "package-0.1", "probe.py", "scenes.py",
                "wireguard-go@.service",
            ],
            swiftSettings: settings
        ),
    ]

let allSuites =
    valueSuites + systemSuites + kernelSuites + gatewaySuites + linkSuites + tenantSuites + topSuites
let chosenTests = allSuites.filter { chosenSuites?.contains($0.name) ?? true }

let package = Package(
    name: "kex",
    products: [
        .library(name: "EUI64", targets: ["EUI64", "WireGuardTypes", "NetworkAddresses"]),
        .library(name: "VXLANFdb", targets: ["VXLANFdb", "NetworkAddresses", "Netlink"]),
        .executable(name: "kexd", targets: ["kexd"]),
        .executable(name: "kex-handler", targets: ["kex-handler"]),
        .executable(name: "kex-cleanup", targets: ["kex-cleanup"]),
        .executable(name: "kex-client", targets: ["kex-client"]),
        .executable(name: "kex-http", targets: ["kex-http"]),
        .executable(name: "kex-mqtt", targets: ["kex-mqtt"]),
        .executable(name: "kex-link", targets: ["kex-link"]),
        .executable(name: "kex-net", targets: ["kex-net"]),
    ],
    // Exactly these, for the tests are to run with what is shipped; what they bring is in each package's `built-from`.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        // Of Hummingbird only its server: without traits nothing of it needs Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: cLibraries + valueLibraries + [eui64] + systemLibraries + kernelLibraries + [vxlanFdb] + gatewayLibraries
        + linkLibraries + tenantLibraries + programs + [crowd, scribe] + (isRelease ? [] : testSupport + chosenTests)
        + fuzzing
)
