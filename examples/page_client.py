"""The page as a service: python app.py in one terminal, python examples/page_client.py me.jpg in another."""

import sys

from gradio_client import Client, handle_file

ADDRESS = "http://127.0.0.1:7860"

if __name__ == "__main__":
    page = Client(ADDRESS, download_files=".")
    photo = handle_file(sys.argv[1])
    protected, report, sheet = page.predict(photo, {"preset": "balanced", "seed": 1}, api_name="/protect")
    print(f"{protected}: LPIPS {report['faces'][0]['visibility']['face_lpips']:.3f}; contact sheet: {sheet}")
    report, sheet = page.predict(photo, handle_file(protected), api_name="/verify")
    made = [swap for swap in report["swaps"] if (swap["role"], swap["picture"]) == ("source", "protected")]
    print(f"measured again: {sum(swap['works'] for swap in made)} of {len(made)} face swaps still show the person")
