# A small image: the distribution's HAProxy, marathon-lb as a wheel, a user of its own.
#   docker build -t marathon-lb .
#   docker run --net=host marathon-lb --mode=sse -m http://marathon:8080 --group external
FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/marathon-lb
COPY setup.py pyproject.toml MANIFEST.in README.md /src/
COPY marathonlb /src/marathonlb
COPY minimarathon /src/minimarathon
COPY templates /src/templates
COPY twisted /src/twisted
RUN /opt/marathon-lb/bin/pip install --no-cache-dir /src
# Writes the cache of plugins, which the image's user could not.
RUN /opt/marathon-lb/bin/twistd --help >/dev/null

FROM debian:trixie-slim
# The capability lets an ordinary user serve the ports 80 and 443.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 haproxy ca-certificates libcap2-bin \
 && rm -rf /var/lib/apt/lists/* \
 && setcap cap_net_bind_service=+ep /usr/sbin/haproxy \
 && apt-get purge --yes --auto-remove libcap2-bin \
 && useradd --system --home-dir /marathon-lb --create-home marathon-lb \
 && install -d -o marathon-lb -g marathon-lb /etc/haproxy /var/run/marathon-lb \
 && chown -R marathon-lb:marathon-lb /etc/haproxy
COPY --from=build /opt/marathon-lb /opt/marathon-lb
WORKDIR /marathon-lb
USER marathon-lb
ENV MARATHON_LB_MANAGE_HAPROXY=true \
    PYTHONUNBUFFERED=1
EXPOSE 80 443 9090 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9090/_haproxy_health_check', timeout=2)"]
ENTRYPOINT ["/opt/marathon-lb/bin/twistd", "--nodaemon", "--pidfile=", "marathon-lb"]
