"""A backup that is begun on one face of the house is seen on the others."""

import pytest

from mailstead.config.settings import Limits, Server, Settings, Store
from mailstead.model.errors import Conflict
from mailstead.model.secret import Secret
from mailstead.wiring.api import make_api_house
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.site import make_site


async def test_pages_and_api_have_one_list_of_backup_jobs(tmp_path):
    settings = Settings(
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname="mail.example.test", data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
    )
    async with open_house(settings) as house:
        of_pages, of_api = make_site(house)._house.backup_jobs, make_api_house(house).administration.backup_jobs
        begun = of_pages.start(ADMINISTRATOR, "backup")
        assert of_api.jobs(ADMINISTRATOR) == [begun]
        with pytest.raises(Conflict):  # two at once would be in each other's way
            of_api.start(ADMINISTRATOR, "drill")
        await of_pages.settle()
