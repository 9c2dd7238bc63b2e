"""How the tests are shared among processes."""


def test_a_file_of_tests_stays_in_one_process(request, pytestconfig):
    """Its fixtures are made once. A worker of pytest-xdist groups tests by what follows the ``@``."""
    shared = pytestconfig.getoption("loadgroup", default=False)
    group = f"@{request.path.as_posix()}" if shared else ""
    assert request.node.nodeid.partition("::")[2] == f"{request.function.__name__}{group}"
