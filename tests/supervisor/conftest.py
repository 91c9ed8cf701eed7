import pytest

from modelyard.supervisor.generated_secrets import new_master_key


@pytest.fixture
def servers(passable_folder, database_url, broker_url) -> dict[str, str]:
    """Variables of a platform whose servers all answer."""
    return {
        "MODELYARD_DATABASE_URL": database_url,
        "MODELYARD_BROKER_URL": broker_url,
        "MODELYARD_STORAGE_URL": (passable_folder / "objects").as_uri(),
        "MODELYARD_MASTER_KEY": new_master_key(),
    }
