# `snakemake --cores all` runs everything that workflow/config.yaml names; `snakemake PAPER --cores all`
# one paper; `snakemake --report results/report.html`, after either, makes one page of it all.

from snakemake.utils import min_version

min_version("9.27")


configfile: "workflow/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/full.smk"
include: "workflow/rules/site.smk"


rule all:
    default_target: True
    input:
        [everything(paper) for paper in PAPERS],
        [STORE.all_verdicts(preset, "html") for preset in SHOWN],


for paper in PAPERS:

    rule:
        name:
            paper
        input:
            everything(paper),
