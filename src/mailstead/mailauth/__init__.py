"""Who really sent this: SPF, DKIM, ARC, DMARC, and how safely mail leaves: MTA-STS, DANE, TLS-RPT.

May import: ports, mime, telemetry, model. Asks the `Resolver` and `WebClient` ports; opens nothing itself. Start
reading at `verify`.
"""
