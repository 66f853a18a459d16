import { render } from "preact";
import { App } from "./App";
import "./styles/page.css";

history.scrollRestoration = "manual";
const place = document.getElementById("page");
if (place) render(<App />, place);
