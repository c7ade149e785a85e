# The hub as a container image. Build: docker build -t eventhubd .
FROM debian:bookworm AS build
WORKDIR /source
COPY scripts/install-dependencies scripts/install-dependencies
RUN scripts/install-dependencies
COPY . .
RUN cmake --preset release \
  && ninja -C build/release eventhubd \
  && strip --strip-debug build/release/eventhubd

FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
     ca-certificates libc-ares2 libfmt9 libpq5 libprometheus-cpp-core1.0 libsimdjson14 \
     libssl3 libtcmalloc-minimal4 libtomlplusplus3 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin eventhub
COPY --from=build /source/build/release/eventhubd /usr/local/bin/eventhubd
COPY config/eventhub.toml /etc/eventhub/eventhub.toml
# The container's network is what keeps others out; a key is needed all the same (EVENTHUB_ADMIN_KEY).
ENV EVENTHUB_SERVER_BIND=0.0.0.0
USER eventhub
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=3 \
  CMD ["eventhubd", "healthcheck"]
ENTRYPOINT ["eventhubd"]
