/* Tells a service manager (sd_notify(3) protocol) how we are. Nothing happens without one. */
#pragma once

void notify_manager(const char *message); /* "READY=1" */
