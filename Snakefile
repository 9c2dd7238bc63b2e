# `snakemake --cores all` runs everything that workflow/config.yaml names; `snakemake PAPER --cores all`
# one paper; `snakemake --report results/report.html`, after either, makes one page of it all.

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


if Path.cwd().resolve() != Path(workflow.basedir).resolve():
    sys.exit(
        "error: --directory: the workflow runs in its own checkout, which holds its inputs; leave it out"
        f" or give {workflow.basedir}"
    )


configfile: "workflow/config.yaml"


include: "workflow/rules/common.smk"


# It opens on the scoreboard and the picture of all papers, which a rule writes.
report: str(STORE.scoreboard("rst").resolve())


include: "workflow/rules/simulate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/full.smk"
include: "workflow/rules/site.smk"
include: "workflow/rules/artifact.smk"


onsuccess:
    print("", *closing.lines(PAPERS, SHOWN, STORE), sep="\n")


rule all:
    default_target: True
    input:
        of_all_papers(),
        STORE.times("html"),
    message:
        "All is there"


for paper in PAPERS:

    rule:
        name:
            paper
        input:
            everything(paper),
            STORE.scoreboard("html"),
        message:
            f"All of {paper} is there"
