-- use-service lua.getconfig: the configuration that HAProxy runs.
local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local register = loadfile(directory .. "files.lua")()
register("getconfig")
