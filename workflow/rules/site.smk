"""The documentation as a site, its notebooks run: `snakemake site --cores 1`. No part of the default target."""


rule site:
    input:
        sources("*.md"),
        sources("CITATION.cff"),
        sources("bioflax/**/*.py"),
        sources("replications/*/*.md"),
        sources("replications/*/*.png"),
        sources("replications/*/*.yaml"),
        sources("workflow/site/**/*"),
    output:
        directory("results/site"),
    log:
        "results/site.log",
    conda:
        "../site/environment.yml"
    threads: 1
    params:
        code=code("workflow/site/conf.py", "workflow/site/colab.py"),
    message:
        "Build the documentation"
    shell:
        "build=$(mktemp -d) && trap 'rm -rf $build' EXIT"
        " && NPROC=1 logged {log} python -m sphinx -q -W --keep-going -n"
        " -d $build/doctrees workflow/site $build/html"
        " && mkdir -p {output} && cp -R $build/html/. {output}"
