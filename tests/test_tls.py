"""Fits whose workers and parameter server speak TLS, with certificates that openssl makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import LOCAL_CLUSTER, ROOT, Run, Spark
from test_fit import check_ledger

DATA = f"data={ROOT / 'examples' / 'data'}"
SSL = "spark.firesteel.ssl."
NOW = ("20000101000000Z", "21000101000000Z")
PAST = ("20000101000000Z", "20010101000000Z")

AUTHORITY = """
[ca]
default_ca = authority
[authority]
certificate = authority.pem
private_key = authority-key.pem
database = issued.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
[policy]
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
"""


class Authority:
    """An authority in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "authority.cnf").write_text(AUTHORITY)
        (folder / "issued.txt").touch()
        self._openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            "-subj /CN=authority -keyout authority-key.pem -out authority.pem"
        )
        self.certificate = folder / "authority.pem"

    def issue(self, name: str, key: str, validity: tuple[str, str] = NOW) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and its key, which the openssl command `key` makes."""
        command, _, options = key.partition(" ")
        self._openssl(f"{command} -out {name}-key.pem {options}")
        self._openssl(f"req -new -key {name}-key.pem -subj /CN={name} -out {name}.csr")
        self._openssl(
            f"ca -batch -notext -config authority.cnf -extensions leaf -in {name}.csr "
            f"-startdate {validity[0]} -enddate {validity[1]} -out {name}.pem"
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"

    def _openssl(self, arguments: str) -> None:
        line = ["openssl", *arguments.split()]
        done = subprocess.run(line, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"openssl {arguments}\n{done.stderr}"


SEC1 = "ecparam -name prime256v1 -genkey"
PKCS1 = "genrsa -traditional 2048"
PKCS8 = "genpkey -algorithm RSA"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def settings(authority: Authority, server: tuple[Path, Path]) -> dict[str, str | None]:
    return {
        SSL + "enabled": "true",
        SSL + "certificate": str(server[0]),
        SSL + "privateKey": str(server[1]),
        SSL + "trustedCertificates": str(authority.certificate),
    }


def fit(spark: Spark, conf: dict[str, str | None]) -> Run:
    return spark.submit("firesteel.e2e.FitMnist", DATA, "epochs=1", master=LOCAL_CLUSTER, conf=conf)


def test_a_fit_goes_over_tls(spark: Spark, authority: Authority) -> None:
    result = fit(spark, settings(authority, authority.issue("server", PKCS8))).succeed()
    check_ledger(result, 1)
    assert result["accuracy"] > 0.9


def test_workers_prove_themselves_with_files_that_spark_ships(
    spark: Spark, authority: Authority
) -> None:
    certificate, key = authority.issue("worker", SEC1)
    shipped = [authority.certificate, certificate, key]
    conf = {
        **settings(authority, authority.issue("server", PKCS1)),
        "spark.files": ",".join(str(path) for path in shipped),
        SSL + "trustedCertificates": authority.certificate.name,
        SSL + "clientCertificate": certificate.name,
        SSL + "clientPrivateKey": key.name,
        SSL + "needClientAuth": "true",
    }
    check_ledger(fit(spark, conf).succeed(), 1)


def test_an_expired_certificate_of_the_server_ends_the_fit_by_name(
    spark: Spark, authority: Authority
) -> None:
    run = fit(spark, settings(authority, authority.issue("server", SEC1, PAST)))
    assert run.wait() != 0
    assert "AuthenticationException: TLS: the certificate of the parameter server" in run.output
    assert "it has expired" in run.output


def test_a_certificate_of_the_workers_by_another_authority_ends_the_fit_by_name(
    spark: Spark, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path / "other").issue("worker", PKCS8)
    conf = {
        **settings(authority, authority.issue("server", PKCS8)),
        SSL + "clientCertificate": str(certificate),
        SSL + "clientPrivateKey": str(key),
    }
    run = fit(spark, conf)
    assert run.wait() != 0
    assert "does not accept this worker's certificate" in run.output


def test_a_missing_file_is_named_with_its_key(spark: Spark, authority: Authority) -> None:
    conf = settings(authority, authority.issue("server", PKCS8))
    run = fit(spark, {**conf, SSL + "privateKey": "/no/such/key.pem"})
    assert run.wait() != 0
    assert f"{SSL}privateKey: cannot read '/no/such/key.pem'" in run.output
