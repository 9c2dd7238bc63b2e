"""From tables to pictures and pages. No rule here computes: a new style redraws and reruns nothing."""


rule plot:
    input:
        numbers=numbers_of_figure,
        declared=declared_of_figure,
    output:
        report(
            STORE.figure("{preset}", P, "{figure}", FORMATS[0]),
            caption="../report/figure.rst",
            category="{paper}",
            subcategory="Figures, {preset}",
            labels=labels_of_figure,
        ),
        [STORE.figure("{preset}", P, "{figure}", suffix) for suffix in FORMATS[1:]],
    log:
        STORE.log("{preset}", "plot", P, "{figure}"),
    benchmark:
        STORE.benchmark("{preset}", "plot", P, "{figure}")
    conda:
        "../../environment.yml"
    params:
        code=code("figures.{paper}", "replications.harness.showing.plotting"),
        as_published=as_published,
        caption=caption,
        formats=FORMATS,
        results=results_folder,
        accepted=of_accepted,
    message:
        "Draw {wildcards.paper}: {wildcards.figure}, {wildcards.preset}"
    shell:
        "logged {log} python -m replications plot {wildcards.paper} {wildcards.figure} --preset {wildcards.preset}"
        " {params.accepted} --results {params.results} --formats {params.formats}"


rule overview:
    input:
        accepted=accepted_of_all,
        declared=declared_of_all,
    output:
        report(
            STORE.overview("svg"),
            caption="../report/overview.rst",
            category="Claims",
            labels={"page": "picture of all papers, full"},
        ),
        STORE.overview("pdf"),
        STORE.overview("png"),
    log:
        STORE.log("full", "overview"),
    benchmark:
        STORE.benchmark("full", "overview", "all")
    conda:
        "../../environment.yml"
    params:
        code=code("figures.overview", "replications.harness.showing.plotting"),
        results=STORE.results,
    message:
        "Draw the picture of all papers"
    shell:
        "logged {log} python -m replications overview --results {params.results}"


rule summarize:
    input:
        numbers=numbers,
        declared=declared("experiments", "published"),
    output:
        report(
            STORE.summary("{preset}", P),
            caption="../report/summary.rst",
            category="{paper}",
            subcategory="Tables, {preset}",
            labels={"table": "every experiment, at the end of training"},
        ),
    log:
        STORE.log("{preset}", "summarize", P),
    benchmark:
        STORE.benchmark("{preset}", "summarize", P)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.showing.pages"),
        as_published=as_published,
        results=results_folder,
        accepted=of_accepted,
    message:
        "Lay out where the experiments of {wildcards.paper} end, {wildcards.preset}"
    shell:
        "logged {log} python -m replications summarize {wildcards.paper} --preset {wildcards.preset}"
        " {params.accepted} --results {params.results}"
