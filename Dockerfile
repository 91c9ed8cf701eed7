# The one image of the platform. Control plane, builder, batch and data plane are roles: `modelyard up --role …`.
#
# All packages come from locks with hashes (docker/*.lock, renewed by `make constraints`). The base is a tag; to pin the
# exact base image, build with BASE_IMAGE=python:3.12-slim-bookworm@sha256:… of `docker buildx imagetools inspect`.
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS installed
# Settings of the build machine: they apply to this stage and are in no layer of the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG UV_PYTHON_INSTALL_MIRROR
COPY docker/certificates /usr/local/share/ca-certificates/modelyard
RUN find /usr/local/share/ca-certificates -name '*.crt' | grep -q . && update-ca-certificates || true
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# The layers that change least come first: dependencies, further interpreters, the platform's code.
COPY docker/requirements.lock docker/build.lock /locks/
RUN python3 -m venv --without-pip /opt/modelyard \
    && pip --python /opt/modelyard/bin/python install --quiet --require-hashes --no-deps -r /locks/requirements.lock \
    && python3 -m venv /build \
    && /build/bin/pip install --quiet --require-hashes --no-deps -r /locks/build.lock \
    && find /opt/modelyard -type d -name tests -path '*/site-packages/*' -prune -exec rm -r {} + \
    && rm -rf /opt/modelyard/lib/python3*/site-packages/pyarrow/include

# Minor versions, such as "3.9 3.10", for models that need another Python than the base's.
ARG PYTHON_VERSIONS=""
RUN mkdir -p /opt/python \
    && for version in ${PYTHON_VERSIONS}; do \
         /opt/modelyard/bin/uv python install --no-bin --install-dir /opt/python "${version}" || exit 1; \
       done

COPY pyproject.toml README.md LICENSE /source/
COPY server /source/server
COPY modelyard /source/modelyard
COPY control_plane /source/control_plane
COPY data_plane /source/data_plane
COPY builder /source/builder
COPY migrations /source/migrations
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels /source /source/server \
    && pip --python /opt/modelyard/bin/python install --quiet --no-deps --no-index /wheels/*.whl

FROM ${BASE_IMAGE}
# LightGBM and XGBoost need the system's OpenMP. A Python that was built below /root looks for its files there: /root must
# report missing files, not missing permissions.
RUN apt-get update -q && apt-get install -y -q --no-install-recommends libgomp1 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt \
    && chmod go+x /root \
    && groupadd --gid 1000 modelyard \
    && useradd --uid 1000 --gid 1000 --create-home --shell /usr/sbin/nologin modelyard \
    && install -d -o modelyard -g modelyard -m 711 /var/lib/modelyard
COPY docker/certificates /usr/local/share/ca-certificates/modelyard
RUN find /usr/local/share/ca-certificates -name '*.crt' | grep -q . && update-ca-certificates || true
COPY docker/refuse-placeholders.sh docker/make_container.py /opt/
COPY --from=installed /opt/python /opt/python
COPY --from=installed /opt/modelyard /opt/modelyard
ENV PATH=/opt/modelyard/bin:$PATH UV_PYTHON_INSTALL_DIR=/opt/python PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# All containers must have the same Pythons, so none is fetched later.
ENV UV_PYTHON_DOWNLOADS=never \
    MISSING_PYTHON_REMEDY="add it to PYTHON_VERSIONS in .env, then: docker compose build && docker compose up --detach"
USER 1000:1000
WORKDIR /home/modelyard
# Process 1: starts the other processes, reaps orphans, and stops all processes in order.
ENTRYPOINT ["modelyard"]
CMD ["up", "--data-dir", "/var/lib/modelyard", "--host", "0.0.0.0"]
