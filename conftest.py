"""What must stay together under xdist: some files tell one story."""

import pytest


@pytest.hookimpl(optionalhook=True)  # xdist may be off
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class InOrder(LoadScopeScheduling):
        """Everything else is shared out test by test; the xdist_group marker has no effect under pytest 9.2."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if file.endswith(("test_pipeline.py", "test_smoke.py")) else nodeid

    return InOrder(config, log)
