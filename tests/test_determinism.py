"""Where, when and by whom the pipeline is run shows in no byte of what it leaves."""

from tests.elsewhere import reproduced_elsewhere
from tests.project import Project
from tools.pipeline import declared_stages


def test_no_byte_depends_on_where_when_and_by_whom_the_pipeline_is_run(
    miniature_project: Project, reproduced_project: Project
):
    elsewhere = reproduced_elsewhere(miniature_project)
    stages = declared_stages(reproduced_project.folder)
    assert sorted(elsewhere.ran) == sorted(stage.name for stage in stages)  # and nothing came out of a cache
    first, second = reproduced_project.outputs(), elsewhere.project.outputs()
    for path in (path for stage in stages for path in (*stage.outs, *stage.kept)):
        assert any(name == path or name.startswith(f"{path}/") for name in first), f"{path} isn't compared"
    assert sorted(name for name in {*first, *second} if first.get(name) != second.get(name)) == []
