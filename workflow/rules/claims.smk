"""From tables to verdicts, and the check against the accepted results."""


rule judge:
    input:
        numbers=numbers,
        declared=declared("claims", "published"),
    output:
        STORE.verdicts("{preset}", P),
    log:
        STORE.log("{preset}", "judge", P),
    benchmark:
        STORE.benchmark("{preset}", "judge", P)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.judging.verdicts"),
        as_published=as_published,
        results=results_folder,
        accepted=of_accepted,
    message:
        "Judge the claims of {wildcards.paper}, {wildcards.preset}"
    shell:
        "logged {log} python -m replications judge {wildcards.paper} --preset {wildcards.preset}"
        " {params.accepted} --results {params.results}"


rule verdicts:
    input:
        verdicts_of_papers,
        pictures_of_papers,
        # Which of its parts are older than their results.
        accepted_of_all,
        declared_of_all,
    output:
        [STORE.all_verdicts("{preset}", suffix) for suffix in ("json", "md")],
        report(
            STORE.all_verdicts("{preset}", "html"),
            caption="../report/verdicts.rst",
            category="Claims",
            labels={"page": "claims of all papers with their pictures, {preset}"},
        ),
    log:
        STORE.log("{preset}", "verdicts"),
    benchmark:
        STORE.benchmark("{preset}", "verdicts", "all")
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.showing.pages"),
        papers=papers_of,
        results=results_folder,
    message:
        "Gather the verdicts, {wildcards.preset}"
    shell:
        "logged {log} python -m replications verdicts {params.papers} --preset {wildcards.preset}"
        " --results {params.results}"


rule scoreboard:
    input:
        overview=STORE.overview("png"),
        accepted=accepted_of_all,
        declared=declared_of_all,
    output:
        STORE.scoreboard("md"),
        STORE.scoreboard("rst"),
        report(
            STORE.scoreboard("html"),
            caption="../report/scoreboard.rst",
            category="Claims",
            labels={"page": "the score of all papers, full"},
        ),
    log:
        STORE.log("full", "scoreboard"),
    benchmark:
        STORE.benchmark("full", "scoreboard", "all")
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.showing.pages", "figures.overview"),
        results=STORE.results,
    message:
        "Lay out the scoreboard"
    shell:
        "logged {log} python -m replications scoreboard --results {params.results}"


rule check:
    input:
        numbers=numbers,
        verdicts=STORE.verdicts("{preset}", P),
        fingerprints=fingerprints_of_paper,
        accepted=accepted_files,
        declared=declared("experiments", "claims", "published"),
        shown=shown,
        test=[
            local(f"tests/regression/{name}")
            for name in ("check_accepted.py", "conftest.py", "pytest.ini")
        ],
    output:
        report(
            STORE.check("{preset}", P),
            caption="../report/check.rst",
            category="{paper}",
            subcategory="Claims",
            labels={"table": "check against the accepted results, {preset}"},
        ),
    log:
        STORE.log("{preset}", "check", P),
    benchmark:
        STORE.benchmark("{preset}", "check", P)
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.showing.readme", "figures.{paper}"),
        results=results_folder,
        accepted=of_accepted,
    message:
        "Check {wildcards.paper} against its accepted results, {wildcards.preset}"
    shell:
        "logged {log} python -m pytest -c tests/regression/pytest.ini tests/regression/check_accepted.py"
        " --paper {wildcards.paper} --preset {wildcards.preset} {params.accepted} --results {params.results}"
        " --report {output}"


rule times:
    input:
        of_all_papers(),
    output:
        STORE.times("md"),
        report(
            STORE.times("html"),
            caption="../report/times.rst",
            category="Claims",
            labels={"page": "where the time of this run went"},
        ),
    log:
        STORE.log(PRESET, "times"),
    conda:
        "../../environment.yml"
    params:
        code=code("replications.harness.showing.times"),
        results=STORE.results,
    message:
        "Lay out where the time went"
    shell:
        "logged {log} python -m replications times --results {params.results}"
