# Mailstead: every service in one image. Which of them a container runs its command says (`serve --init web`), or
# MAILSTEAD_SERVER_SERVICES; without either it runs all.
# How to use it: self-hosting/README.md. Nothing is installed or changed when a container starts.

FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
# The base's pip works for the venv from outside, so that the image has one pip less.
RUN python -m venv --without-pip /opt/venv
COPY constraints/run.txt constraints/
# Some wheels carry symbols for debuggers, a test suite, or tools beside the library: a fifth of the whole, and of no use.
RUN python -m pip --python /opt/venv/bin/python install --require-hashes -r constraints/run.txt \
 && rm -r /opt/venv/lib/python3.*/site-packages/apsw/tests /opt/venv/lib/python3.*/site-packages/apsw/sqlite_extra_binaries \
 && find /opt/venv -name '*.so*' -exec strip --strip-unneeded {} +
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY src src
# What only builds goes again; `check` says so if something that stays had needed it.
RUN python -m pip --python /opt/venv/bin/python install --no-deps --no-build-isolation . \
 && python -m pip --python /opt/venv/bin/python uninstall -y editables hatchling pathspec pluggy trove-classifiers \
 && python -m pip --python /opt/venv/bin/python check


FROM python:3.13-slim-bookworm
# The folders belong to the user in the image, so new volumes do too.
RUN groupadd --gid 10001 mailstead \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mailstead --shell /usr/sbin/nologin mailstead \
 && install -d -o mailstead -g mailstead -m 0700 /var/lib/mailstead /var/lib/mailstead-keys

COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MAILSTEAD_SERVER_DATA_DIR=/var/lib/mailstead \
    MAILSTEAD_STORE_MASTER_KEY_FILE=/var/lib/mailstead-keys/master.key \
    MAILSTEAD_BACKUP_KEY_FILE=/var/lib/mailstead-keys/backup.key \
    MAILSTEAD_MX_LISTEN=:25 \
    MAILSTEAD_SUBMISSION_LISTEN=:587 \
    MAILSTEAD_SUBMISSION_LISTEN_TLS=:465 \
    MAILSTEAD_IMAP_LISTEN=:143 \
    MAILSTEAD_IMAP_LISTEN_TLS=:993 \
    MAILSTEAD_POP3_LISTEN=:110 \
    MAILSTEAD_POP3_LISTEN_TLS=:995 \
    MAILSTEAD_SIEVE_LISTEN=:4190 \
    MAILSTEAD_WEB_LISTEN=:80 \
    MAILSTEAD_WEB_LISTEN_TLS=:443 \
    MAILSTEAD_WEB_CUSTOM_FOLDER=/custom

EXPOSE 25 80 110 143 443 465 587 993 995 4190
VOLUME ["/var/lib/mailstead", "/var/lib/mailstead-keys"]
USER 10001:10001
WORKDIR /var/lib/mailstead
STOPSIGNAL SIGTERM
# Asked twice a second until it is well for the first time, so that whoever waits for the start does not wait for the clock.
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --start-interval=0.5s --retries=3 CMD ["mailstead", "health"]
ENTRYPOINT ["mailstead"]
CMD ["serve", "--init"]

# Last, as they differ from build to build.
ARG VERSION=development
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Mailstead" \
      org.opencontainers.image.description="A self-hosted mail platform: every service of a mail provider in one image" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
