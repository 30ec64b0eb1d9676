# The gateway alone, in an image without a shell: docker build -t tollgate .
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The program is held to 16 MB, as the documentation states.
RUN cargo build --release --locked \
    && strip target/release/tollgate \
    && test "$(stat -c %s target/release/tollgate)" -le 16777216

# Without a shell: the C library, certificates, and a user without rights.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/tollgate /usr/bin/tollgate
# Other containers and the port mapping reach no loopback address.
ENV HOST=0.0.0.0 PORT=8000 TOLLGATE_CONFIG=/etc/tollgate/config.yaml
EXPOSE 8000
# Ready: it serves, and no shutdown has begun. The image has no shell and no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/bin/tollgate", "health"]
ENTRYPOINT ["/usr/bin/tollgate"]
