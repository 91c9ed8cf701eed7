"""Workspaces by public calls of the Azure SDK."""


def test_workspace_is_read_with_its_location_and_urls(ml):
    workspace = ml.workspaces.get("default")
    assert (workspace.name, workspace.location) == ("default", "local")
    assert workspace.discovery_url.startswith("https://")
    assert workspace.mlflow_tracking_uri


def test_workspaces_are_listed_by_resource_group_and_by_subscription(ml):
    assert "default" in {workspace.name for workspace in ml.workspaces.list()}
    assert "default" in {workspace.name for workspace in ml.workspaces.list(scope="subscription")}


def test_workspace_has_no_keys_of_azure_services(ml):
    keys = ml.workspaces.get_keys("default")
    # The newer release answers None for no keys.
    assert keys is None or (keys.user_storage_key, keys.notebook_access_keys) == (None, None)
