# The environment of requirements.lock, for the pods of workflow/profiles/kubernetes: Snakemake brings the sources.
#   docker build --tag bioflax:0.1.0 .
# The whole suite in it, without a cluster:
#   docker run --rm --volume "$PWD":/workdir bioflax:0.1.0 snakemake --cores all
FROM python:3.11-slim-trixie

# Snakemake asks git for the files to send; provenance asks it for the commit.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/*

COPY requirements.lock /
RUN pip install --no-cache-dir --require-hashes --requirement /requirements.lock \
 && pip freeze > /constraints.txt \
 && git config --system --add safe.directory /workdir

# A pod installs its storage plugin by itself: in the versions that are here.
ENV PIP_CONSTRAINT=/constraints.txt

# Where no home can be written: the files of a run belong to whoever mounts the folder.
ENV HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /workdir
