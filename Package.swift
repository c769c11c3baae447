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
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

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

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
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
        linkerSettings: Context.environment["KEX_RELEASE"] == nil ? [] : [.unsafeFlags(small + kind)]
    )
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
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
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        // Of Hummingbird only its server: without traits nothing of it needs Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    ],
    // Rows as in docs/ARCHITECTURE.md: a target depends on rows above it in this list only.
    targets: [
        // 0  C
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CMNL", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(name: "CINIH", pkgConfig: "inih", providers: [.apt(["libinih-dev"])]),
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),

        // 1  values
        library("NetworkAddresses"),
        library("WireGuardTypes", ["NetworkAddresses"]),
        library("EUI64", ["NetworkAddresses", "WireGuardTypes"]),
        library("JSONText"),
        library("KexProtocol", ["WireGuardTypes"]),
        library("SourceLimits", ["NetworkAddresses"]),
        library("SystemCalls", ["CLinux", "NetworkAddresses", system]),

        // 2  ways out
        library("CommandLineOptions"),
        library("EventLoop", ["CLinux", "SystemCalls", system]),
        library("Netlink", ["CMNL", system]),
        library("HandlerChannel", ["KexProtocol", "NetworkAddresses", "SystemCalls", "WireGuardTypes", system]),
        library(
            "KexConfiguration",
            ["CINIH", "EUI64", "KexProtocol", "NetworkAddresses", "SystemCalls", "WireGuardTypes", system]
        ),
        library("Systemd", ["SystemCalls", logging, system]),
        library("BusMessages", ["CSodium", "JSONText", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]),
        library("Mosquitto", ["CLinux", "CMosquitto", "EventLoop", "SystemCalls", system]),

        // 3  kernel objects
        library("LinkControl", ["CMNL", "Netlink", "NetworkAddresses", system]),
        library("VXLANFdb", ["CMNL", "Netlink", "NetworkAddresses", "SystemCalls", system]),
        library(
            "WireGuardControl",
            ["CMNL", "CSodium", "Netlink", "NetworkAddresses", "SystemCalls", "WireGuardTypes", system]
        ),

        // 4  policy
        library("GatewayChoice", ["KexProtocol", "WireGuardTypes"]),
        library("KexGateway", ["EUI64", "KexProtocol", "NetworkAddresses", "SourceLimits", "WireGuardTypes"]),

        library(
            "GatewayState",
            ["CLinux", "CSodium", "KexGateway", "KexProtocol", "SystemCalls", "WireGuardTypes", system]
        ),

        // 5  front doors
        library(
            "KexServer",
            [
                "EventLoop", "HandlerChannel", "KexProtocol", "NetworkAddresses", "SourceLimits", "SystemCalls",
                "Systemd",
                "WireGuardTypes", logging, system,
            ]
        ),

        library(
            "KexHTTP",
            [
                "EventLoop", "HandlerChannel", "JSONText", "KexProtocol", "NetworkAddresses", "SourceLimits",
                "SystemCalls",
                "Systemd", "WireGuardTypes", logging, system,
            ] + http
        ),

        library(
            "KexMQTT",
            ["BusMessages", "GatewayChoice", "HandlerChannel", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]
        ),

        library(
            "ServiceProgram",
            ["CommandLineOptions", "KexConfiguration", "SystemCalls", "Systemd", logging, system]
        ),

        // 6  programs
        daemon(
            "kexd",
            isWhollyStatic: true,
            [
                "CommandLineOptions", "EventLoop", "KexConfiguration", "KexProtocol", "KexServer", "NetworkAddresses",
                "ServiceProgram",
                "SystemCalls", "Systemd", logging, system,
            ]
        ),
        program(
            "kex-http",
            [
                "CommandLineOptions", "EventLoop", "KexConfiguration", "KexHTTP", "NetworkAddresses", "ServiceProgram",
                "SystemCalls", "Systemd", logging, system,
            ]
        ),
        daemon(
            "kex-mqtt",
            isWhollyStatic: false,
            [
                "BusMessages", "CommandLineOptions", "EventLoop", "HandlerChannel", "KexConfiguration", "KexMQTT",
                "KexProtocol", "Mosquitto", "ServiceProgram", "SystemCalls", "Systemd", logging, system,
            ]
        ),
        daemon(
            "kex-handler",
            isWhollyStatic: false,
            [
                "CommandLineOptions", "EUI64", "EventLoop", "GatewayState", "HandlerChannel", "KexConfiguration",
                "KexGateway", "KexProtocol",
                "LinkControl",
                "Netlink", "NetworkAddresses", "ServiceProgram", "SourceLimits", "SystemCalls", "Systemd", "VXLANFdb",
                "WireGuardControl",
                "WireGuardTypes", logging, system,
            ]
        ),
        program(
            "kex-cleanup",
            [
                "CommandLineOptions", "HandlerChannel", "KexConfiguration", "KexProtocol", "SystemCalls",
                "WireGuardTypes",
                argumentParser, system,
            ]
        ),
        program(
            "kex-client",
            [
                "CommandLineOptions",
                "CLinux", "EUI64", "KexConfiguration", "KexProtocol", "LinkControl", "Netlink", "NetworkAddresses",
                "SystemCalls", "VXLANFdb", "WireGuardControl", "WireGuardTypes", argumentParser, system,
            ]
        ),

        // Tests, a folder for each module
        .target(
            name: "KernelTestSupport",
            dependencies: ["LinkControl", "Netlink", "NetworkAddresses", system],
            path: "Tests/KernelTestSupport",
            swiftSettings: settings
        ),
        .target(name: "Patience", path: "Tests/Patience", swiftSettings: settings),
        .target(name: "FieldRouter", dependencies: ["Patience"], path: "Tests/FieldRouter", swiftSettings: settings),
        .target(
            name: "RecordingLog",
            dependencies: [logging],
            path: "Tests/RecordingLog",
            swiftSettings: settings
        ),
        tests("EUI64Tests", ["EUI64", "NetworkAddresses", "WireGuardTypes"]),
        tests("LinkControlTests", ["KernelTestSupport", "LinkControl", "Netlink", "NetworkAddresses", system]),
        tests("NetlinkTests", ["CMNL", "KernelTestSupport", "Netlink", system]),
        tests("NetworkAddressesTests", ["NetworkAddresses"]),
        tests("SourceLimitsTests", ["NetworkAddresses", "SourceLimits"]),
        tests(
            "VXLANFdbTests",
            ["KernelTestSupport", "LinkControl", "Netlink", "NetworkAddresses", "VXLANFdb", system]
        ),
        tests(
            "WireGuardControlTests",
            [
                "Patience",
                "KernelTestSupport", "Netlink", "NetworkAddresses", "SystemCalls", "WireGuardControl", "WireGuardTypes",
                system,
            ]
        ),
        tests("WireGuardTypesTests", ["NetworkAddresses", "WireGuardTypes"]),
        tests("SystemdTests", ["RecordingLog", "SystemCalls", "Systemd", logging, system]),
        tests("SystemCallsTests", ["NetworkAddresses", "SystemCalls", system]),
        tests(
            "KexConfigurationTests",
            [
                "EUI64", "KexConfiguration", "KexProtocol", "NetworkAddresses", "WireGuardTypes", "kex-handler",
                "kex-http", "kex-mqtt",
            ]
        ),
        tests(
            "KexClientTests",
            [
                "Patience",
                "CLinux", "kex-client", "EUI64", "KexConfiguration", "KexProtocol", "NetworkAddresses", "SystemCalls",
                "WireGuardTypes", system,
            ]
        ),
        tests(
            "KexGatewayTests",
            ["EUI64", "KexGateway", "KexProtocol", "NetworkAddresses", "SourceLimits", "WireGuardTypes"]
        ),
        tests("GatewayChoiceTests", ["GatewayChoice", "KexProtocol", "WireGuardTypes"]),
        tests(
            "GatewayStateTests",
            ["GatewayState", "KexGateway", "KexProtocol", "SystemCalls", "WireGuardTypes", system]
        ),
        tests("BusMessagesTests", ["BusMessages", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]),
        tests(
            "KexMQTTTests",
            ["BusMessages", "HandlerChannel", "KexMQTT", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]
        ),
        tests("MosquittoTests", ["Patience", "EventLoop", "Mosquitto", "NetworkAddresses", "SystemCalls", system]),
        tests(
            "KexHTTPTests",
            [
                "Patience",
                "FieldRouter", "HandlerChannel", "KexHTTP", "KexProtocol", "NetworkAddresses", "RecordingLog",
                "SourceLimits", "SystemCalls", "WireGuardTypes", "kex-http", logging, system,
            ]
        ),
        tests("CommandLineOptionsTests", ["CommandLineOptions"]),
        tests("EventLoopTests", ["EventLoop", "SystemCalls", system]),
        tests("HandlerChannelTests", ["HandlerChannel", "KexProtocol", "NetworkAddresses", "WireGuardTypes"]),
        tests("KexProtocolTests", ["KexProtocol", "WireGuardTypes"]),
        tests(
            "KexServerTests",
            [
                "Patience",
                "HandlerChannel", "KexProtocol", "KexServer", "NetworkAddresses", "RecordingLog", "SourceLimits",
                "SystemCalls", "WireGuardTypes", "kexd", logging, system,
            ]
        ),

        // The programs themselves, in network namespaces
        .testTarget(
            name: "NetnsTests",
            dependencies: [
                "kex-crowd",
                "BusMessages", "EUI64", "EventLoop", "FieldRouter", "HandlerChannel", "KexProtocol", "Mosquitto",
                "NetworkAddresses", "Patience", "SystemCalls", "Systemd", "WireGuardTypes", "kexd",
                "kex-handler",
                "kex-cleanup", "kex-client", "kex-http", "kex-mqtt", logging, system,
            ],
            path: "Tests/Netns",
            swiftSettings: settings
        ),

        // Parsers of outside bytes, for libFuzzer and for the corpus that it found
        .target(
            name: "FuzzTargets",
            dependencies: [
                "BusMessages", "GatewayState", "HandlerChannel", "KexConfiguration", "KexProtocol", "LinkControl",
                "Netlink",
                "NetworkAddresses", "VXLANFdb", "WireGuardControl", "WireGuardTypes",
            ],
            path: "Fuzz/Targets",
            swiftSettings: settings
        ),
        tests("FuzzTests", ["FuzzTargets"]),

        // The installed package, in machines of its own
        .executableTarget(
            name: "kex-crowd",
            dependencies: [
                "CSodium", "GatewayState", "KexGateway", "KexProtocol", "NetworkAddresses", "SystemCalls",
                "WireGuardControl", "WireGuardTypes", system,
            ],
            path: "Tests/Crowd",
            swiftSettings: settings
        ),
        .testTarget(
            name: "SystemTests",
            dependencies: ["Patience"],
            path: "Tests/System",
            exclude: ["agent.py", "probe.py", "lab.sh", "mesh", "wireguard-go@.service"],
            swiftSettings: settings
        ),
    ] + fuzzing
)
