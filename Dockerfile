# The load balancer with its own HAProxy, for docker, Mesos and other container runtimes; see docs/image.md.
#   docker build -t marathon-lb .
#   docker run --net=host marathon-lb sse -m http://marathon:8080 --group external
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE /src/
COPY marathonlb /src/marathonlb
COPY templates /src/templates
COPY twisted/plugins/marathonlb_plugin.py /src/twisted/plugins/
# There is no git repository here, so the version is an argument: docker build --build-arg VERSION=2.1.0
ARG VERSION
RUN python3 -m venv /opt/marathon-lb \
 && cd /src \
 && export ${VERSION:+SETUPTOOLS_SCM_PRETEND_VERSION=${VERSION}} \
 && /opt/marathon-lb/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel . \
 && /opt/marathon-lb/bin/pip install --no-cache-dir "$(echo /wheel/*.whl)[dcos]" \
 && /opt/marathon-lb/bin/pip uninstall --yes pip
COPY packaging/image/docker-entrypoint /opt/marathon-lb/bin/
# twistd writes the plugin cache, which the image's user may not. The health check runs often, so it is a single file for
# which Python does not search any package.
RUN /opt/marathon-lb/bin/twistd --help >/dev/null \
 && sed --in-place '1s|.*|#!/opt/marathon-lb/bin/python3 -P|' /opt/marathon-lb/bin/docker-entrypoint \
 && chmod 755 /opt/marathon-lb/bin/docker-entrypoint \
 && cp /src/marathonlb/image/healthcheck.py /opt/marathon-lb/bin/docker-healthcheck.py

FROM ${BASE}
ARG VERSION
LABEL org.opencontainers.image.title="marathon-lb" \
      org.opencontainers.image.description="Keeps HAProxy in step with what Marathon runs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The capability allows HAProxy to bind ports 80 and 443 as an ordinary user. It writes to three directories. A certificate
# that is created, or given as text, is linked at the path that old templates use.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 haproxy ca-certificates libcap2-bin \
 && setcap cap_net_bind_service=+ep /usr/sbin/haproxy \
 && apt-get purge --yes --auto-remove libcap2-bin \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
 && useradd --system --user-group --home-dir /marathon-lb --create-home marathon-lb \
 && install --directory --owner=marathon-lb --group=marathon-lb /marathon-lb/templates /var/run/marathon-lb \
 && rm --recursive /etc/haproxy/* \
 && chown marathon-lb:marathon-lb /etc/haproxy \
 && ln --symbolic /var/run/marathon-lb/pem/cert.pem /etc/ssl/cert.pem
COPY --from=build /opt/marathon-lb /opt/marathon-lb
WORKDIR /marathon-lb
USER marathon-lb
ENV PATH=/opt/marathon-lb/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    MARATHON_LB_MANAGE_HAPROXY=true
EXPOSE 80 443 9090 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["/usr/bin/python3", "-I", "-S", "/opt/marathon-lb/bin/docker-healthcheck.py"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["sse"]
