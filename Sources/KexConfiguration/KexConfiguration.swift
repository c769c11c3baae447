// KexConfiguration
