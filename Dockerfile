# The data service. Two stages, so that the image holds the installed wheel and no tool to build it.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY sark_opa sark_opa
COPY rego rego
COPY sql sql
COPY plugins plugins
RUN python -m venv /opt/sark-opa && /opt/sark-opa/bin/pip install --no-cache-dir .

FROM python:3.12-slim
# Without libseccomp no plugin is loaded.
RUN apt-get update && apt-get install --yes --no-install-recommends libseccomp2 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group sark && install --directory --owner=sark --group=sark --mode=0750 /run/sark /var/lib/sark
COPY --from=build /opt/sark-opa /opt/sark-opa
ENV PATH=/opt/sark-opa/bin:$PATH PYTHONUNBUFFERED=1
USER sark
EXPOSE 8088
VOLUME ["/run/sark", "/var/lib/sark"]
ENTRYPOINT ["sark-opa"]
CMD ["serve"]
