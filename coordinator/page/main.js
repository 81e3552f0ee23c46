// Puts the page together: first who is there, then what the site says, as long as the page is open.

import { showActions } from "./actions.js";
import { showAlerts } from "./alerts.js";
import { showBuffer } from "./buffer.js";
import { offerAppearances, offerLanguages } from "./choices.js";
import { showConnection } from "./connection.js";
import { byId, put } from "./dom.js";
import { showKeys } from "./keys.js";
import { t, translate } from "./language.js";
import { showLicence } from "./licence.js";
import { follow } from "./live.js";
import { tellNews } from "./news.js";
import { showRecords } from "./records.js";
import { showRemoval } from "./removal.js";
import { showSession, signedIn } from "./session.js";
import { status } from "./site.js";
import { showUpload } from "./upload.js";
import { showUsage } from "./usage.js";

translate();
document.title = t("page.title");
offerLanguages(byId("language"));
offerAppearances(byId("appearance"));
await signedIn();
showSession();
byId("page").hidden = false;
tellNews(); // before the others, which show what it notes
showConnection();
showAlerts();
showLicence();
showUsage();
showActions();
showUpload();
showKeys();
showRemoval();
showBuffer();
showRecords();
status.watch(({ siteId }) => put(byId("place"), t("page.place", { site: siteId, host: location.host })));
await follow();
