// KexServer
