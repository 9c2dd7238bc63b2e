"""The documentation as a site, its notebooks run: `snakemake site --cores 1`. No part of the default target."""


rule site:
    input:
        sources_of(".", "*.md"),
        sources_of(".", "CITATION.cff"),
        sources_of(".", "bioflax/**/*.py"),
        sources_of(".", "replications/*/*.md"),
        sources_of(".", "replications/*/*.png"),
        sources_of(".", "replications/*/*.yaml"),
        sources_of(".", "workflow/site/**/*"),
    output:
        directory("results/site"),
    log:
        "results/site.log",
    conda:
        "../site/environment.yml"
    threads: 1
    message:
        "Build the documentation"
    shell:
        "build=$(mktemp -d) && trap 'rm -rf $build' EXIT"
        " && NPROC=1 logged {log} python -m sphinx -q -W --keep-going -n"
        " -d $build/doctrees workflow/site $build/html"
        " && mkdir -p {output} && cp -R $build/html/. {output}"
