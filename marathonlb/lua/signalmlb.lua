-- use-service lua.signalmlbhup and lua.signalmlbusr1: compare everything with Marathon, or reload, now.
local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or "./"
local register = loadfile(directory .. "controller.lua")()
register("signalmlbhup", "/_mlb_signal/hup")
register("signalmlbusr1", "/_mlb_signal/usr1")
