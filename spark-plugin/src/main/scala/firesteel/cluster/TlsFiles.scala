package firesteel.cluster

import java.nio.file.{Files, Path}

import firesteel.plugin.{Configuration, ConfigurationKey}
import org.apache.spark.{SparkConf, SparkEnv, SparkFiles}
import org.json4s.JsonAST.{JBool, JNothing, JObject, JString, JValue}

/** The `tls` objects of a fit's documents. Each file is on the machine that uses it: the server's files on the driver,
  * the workers' files on the executors.
  */
private[firesteel] object TlsFiles {

  /** Returns the `ServerTls`, with paths of this machine; nothing if TLS is disabled. */
  def server(conf: SparkConf): JValue = enabled(conf) {
    located(
      JObject(
        "identity" -> identity(Configuration.SslCertificate, Configuration.SslPrivateKey, conf),
        "trustedCertificates" -> path(Configuration.SslTrustedCertificates, conf),
        "needClientAuth" -> JBool(Configuration.SslNeedClientAuth.get(conf))
      )
    )
  }

  /** Returns the `ClientTls`, with paths as they are configured; nothing if TLS is disabled. */
  def worker(conf: SparkConf): JValue = enabled(conf) {
    val own = Configuration.SslClientCertificate
    val trusted = "trustedCertificates" -> path(Configuration.SslTrustedCertificates, conf)
    if (own.get(conf).isEmpty) JObject(trusted)
    else JObject(trusted, "identity" -> identity(own, Configuration.SslClientPrivateKey, conf))
  }

  /** Returns the `ClientTls` of the driver, which connects to shards, with paths of this machine. */
  def driver(conf: SparkConf): JValue = located(worker(conf))

  /** Returns the common part of all `WorkerSpec`s, with paths of this machine. */
  def locatedIn(common: JObject): JObject = within(common, "server") {
    case server: JObject => within(server, "tls")(located)
    case other => other
  }

  private def enabled(conf: SparkConf)(tls: => JValue): JValue =
    if (Configuration.SslEnabled.get(conf)) tls else JNothing

  private def identity(
      certificate: ConfigurationKey[Option[String]],
      key: ConfigurationKey[Option[String]],
      conf: SparkConf
  ): JObject = JObject("certificate" -> path(certificate, conf), "privateKey" -> path(key, conf))

  private def path(key: ConfigurationKey[Option[String]], conf: SparkConf): JValue =
    key.get(conf).fold[JValue](JNothing)(JString(_))

  private def within(json: JObject, field: String)(change: JValue => JValue): JObject =
    JObject(json.obj.map { case (name, value) =>
      name -> (if (name == field) change(value) else value)
    })

  /** Resolves the paths in a `tls` object: every text in it is a path. */
  private def located(json: JValue): JValue = json match {
    case JString(path) => JString(locate(path))
    case JObject(fields) => JObject(fields.map { case (name, value) => name -> located(value) })
    case other => other
  }

  /** Returns a file of the working directory or, if it has none, of the files that Spark ships. */
  private def locate(path: String): String = {
    val here = Path.of(path).toAbsolutePath
    // Outside of Spark there is no environment and no shipped file.
    val shipped = Option(SparkEnv.get).map(_ => Path.of(SparkFiles.get(path)).toAbsolutePath)
    if (Path.of(path).isAbsolute || Files.exists(here)) here.toString
    else shipped.filter(Files.exists(_)).getOrElse(here).toString
  }
}
