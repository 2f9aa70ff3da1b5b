"""The vocabulary of the sample data. Weights are repetitions: most requests are completed."""

from __future__ import annotations

FIRST_NAMES = (
    *("Ada", "Ben", "Carla", "Dmitri", "Elif", "Finn", "Grace", "Hugo", "Ines", "Jonas"),
    *("Kaya", "Leon", "Mira", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Sami", "Tara"),
    *("Uma", "Viktor", "Wren", "Xenia", "Yara", "Zoltan"),
)
LAST_NAMES = (
    *("Abbott", "Bauer", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Hansen", "Ito"),
    *("Jansen", "Kovacs", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist"),
    *("Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weber", "Young", "Zhang"),
)
_ADJECTIVES = (
    *("Silent", "Broken", "Golden", "Hidden", "Last", "Paper", "Distant", "Electric"),
    *("Crimson", "Frozen", "Hollow", "Midnight", "Northern", "Quiet", "Restless", "Winter"),
)
_NOUNS = (
    *("Harbour", "Mirror", "Garden", "Signal", "Orchard", "Empire", "Lantern", "Voyage"),
    *("Archive", "Bridge", "Canyon", "Detective", "Kingdom", "Meadow", "Station", "Tides"),
)

SERVICES = ("plex", "overseerr", "uptime-kuma", "youtube", "tmdb", "redis")

USER_STATUSES = ("active",) * 46 + ("suspended",) + ("inactive",) * 3
REQUEST_STATUSES = (
    *("completed",) * 27,
    *("available",) * 5,
    *("approved",) * 3,
    *("declined",) * 2,
    *("failed",) * 2,
    "pending",
)
DOWNLOAD_STATUSES = ("completed",) * 17 + ("failed",) * 2 + ("queued",)
ENDPOINTS = (
    *("/api/media/search",) * 8,
    *("/api/media/request",) * 4,
    *("/api/dashboard",) * 3,
    *("/api/youtube/download",) * 2,
    "/api/auth/session",
)

_Failure = tuple[str, str, int, str, str]
ERRORS: tuple[_Failure, ...] = (
    *(("RATE_LIMITED", "Too many requests", 429, "/api/media/search", "GET"),) * 10,
    *(("VALIDATION_FAILED", "tmdbId must be a number", 400, "/api/media/request", "POST"),) * 6,
    *(("SESSION_EXPIRED", "The session has expired", 401, "/api/auth/session", "GET"),) * 6,
    *(("PLEX_UNREACHABLE", "Plex did not answer in 5000 ms", 502, "/api/dashboard", "GET"),) * 3,
    *(("DOWNLOAD_FAILED", "yt-dlp ended with 1", 500, "/api/youtube/download", "POST"),) * 2,
    ("DATABASE_TIMEOUT", "Timed out fetching a connection", 503, "/api/media/request", "POST"),
)


def title(number: int) -> str:
    """The numbered title; 256 names, told apart by their part."""
    adjective = _ADJECTIVES[number % 16]
    noun = _NOUNS[number // 16 % 16]
    part = number // 256
    return f"The {adjective} {noun} {part}" if part else f"The {adjective} {noun}"


def stack_trace(code: str) -> str:
    """A Node.js stack trace, its newlines escaped for COPY."""
    frames = ("controllers/request.js:84:13", "middleware/async.js:7:5", "router/layer.js:95:5")
    return "\\n".join([f"Error: {code}", *(f"    at /app/dist/{frame}" for frame in frames)])
