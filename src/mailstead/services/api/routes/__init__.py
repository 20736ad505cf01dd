"""The endpoints, a module for each subject; `ENDPOINTS` of all of them are put together by `services.api.app`."""
