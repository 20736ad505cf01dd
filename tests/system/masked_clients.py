"""Makes masked addresses by pyaddy and simplelogin-client: masked_clients.py URL TOKEN."""

import json
import sys
from unittest import mock

url, token = sys.argv[1:]

from pyaddy.API.addy_key import AddyKey  # noqa: E402
from pyaddy.API.url import AddyURL  # noqa: E402

made = AddyURL.__init__


def here(self):
    made(self)
    self.base_url = f"{url}/api/v1/{{}}"


with mock.patch.object(AddyURL, "__init__", here), mock.patch.object(AddyKey, "load_key", return_value=token):
    from pyaddy.API.aliases import Aliases

    addy = Aliases()
    created = addy.create_new_alias({"domain": "example.test", "description": "A shop", "format": "random_words"})
    listed = addy.get_all_aliases({})
    alias_id = created.json()["data"]["id"]
    shown = addy.get_specific_alias(alias_id)

from simplelogin import SimpleLoginClient  # noqa: E402

SimpleLoginClient.BASE_URL = url
login = SimpleLoginClient(token)
random = login.create_random_alias(note="Another shop")
custom = login.create_custom_alias("shop", note="A third")
print(
    json.dumps(
        {
            "addy": [
                created.status_code,
                created.json()["data"]["email"],
                listed.status_code,
                shown.json()["data"]["email"],
            ],
            "simplelogin": [random and random.get("alias"), custom and custom.get("alias")],
        }
    )
)
