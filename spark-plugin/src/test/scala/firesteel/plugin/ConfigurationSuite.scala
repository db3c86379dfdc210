package firesteel.plugin

import java.nio.file.Files

import org.scalatest.funsuite.AnyFunSuite

import org.apache.spark.SparkConf

class ConfigurationSuite extends AnyFunSuite {
  private val defaults = new SparkConf(loadDefaults = false)

  private def conf(settings: (String, String)*): SparkConf = defaults.clone.setAll(settings)

  private def refusal(settings: (String, String)*): String =
    intercept[IllegalArgumentException](Configuration.check(conf(settings: _*))).getMessage

  test("an empty configuration is valid and gives the documented defaults") {
    Configuration.check(defaults)
    assert(Configuration.LibtorchPath.get(defaults).isEmpty)
    assert(Configuration.ServerPort.get(defaults) == 0)
    assert(Configuration.ServerLease.get(defaults) == 60000)
    assert(Configuration.ServerTimeout.get(defaults) == 60000)
    assert(Configuration.StartTimeout.get(defaults) == 300000)
    assert(Configuration.Threads.get(defaults) == 1)
    assert(!Configuration.Progress.get(defaults))
    assert(!Configuration.SslEnabled.get(defaults))
  }

  test("values are read in Spark's own notations") {
    val settings = conf(
      "spark.firesteel.server.lease" -> "2min",
      "spark.firesteel.cache.memory" -> " 3g ",
      "spark.firesteel.server.port" -> "7077",
      "spark.firesteel.progress" -> "true",
      "spark.firesteel.libtorch.path" -> "/opt/libtorch"
    )
    Configuration.check(settings)
    assert(Configuration.ServerLease.get(settings) == 120000)
    assert(Configuration.CacheMemory.get(settings) == (3L << 30))
    assert(Configuration.ServerPort.get(settings) == 7077)
    assert(Configuration.Progress.get(settings))
    assert(Configuration.LibtorchPath.get(settings).contains("/opt/libtorch"))
  }

  test("a value that does not fit is refused with its key, its text and what is accepted") {
    assert(
      refusal("spark.firesteel.server.port" -> "70000") ==
        "spark.firesteel.server.port is '70000', but must be a whole number from 0 to 65535"
    )
    Seq(
      "server.port" -> "high",
      "server.lease" -> "soon",
      "server.lease" -> "0s",
      "server.timeout" -> "-1s",
      "cache.memory" -> "much",
      "threads" -> "0",
      "progress" -> "perhaps",
      "libtorch.path" -> "relative/folder",
      "native.directory" -> "",
      "ssl.enabled" -> "maybe",
      "ssl.certificate" -> ""
    ).foreach { case (key, value) =>
      val message = refusal(s"spark.firesteel.$key" -> value)
      assert(message.startsWith(s"spark.firesteel.$key is '$value', but must be "), message)
    }
  }

  test("a misspelt key is refused with the keys that there are") {
    val message = refusal("spark.firesteel.server.prot" -> "0", "spark.other.key" -> "x")
    assert(message.startsWith("unknown configuration key 'spark.firesteel.server.prot'"))
    assert(message.contains("spark.firesteel.server.port"))
  }

  test("more threads than a task has cores are refused") {
    val message = refusal("spark.firesteel.threads" -> "4", "spark.task.cpus" -> "2")
    assert(message.contains("spark.firesteel.threads is 4, more than spark.task.cpus, which is 2"))
    Configuration.check(conf("spark.firesteel.threads" -> "2", "spark.task.cpus" -> "2"))
  }

  test("TLS without the files that it takes is refused by the key that is missing") {
    def ssl(key: String): String = s"spark.firesteel.ssl.$key"
    val enabled = ssl("enabled") -> "true"
    val server = Seq("certificate", "privateKey", "trustedCertificates").map(ssl(_) -> "a.pem")
    server.foreach { missing =>
      val message = refusal(enabled +: server.filterNot(_ == missing): _*)
      assert(message == s"${ssl("enabled")} is true, but ${missing._1} is not set")
    }
    Configuration.check(conf(enabled +: server: _*))
    Configuration.check(conf(ssl("certificate") -> "a.pem"))
    Seq("clientCertificate", "clientPrivateKey").foreach { key =>
      val message = refusal(enabled +: (ssl(key) -> "a.pem") +: server: _*)
      assert(message.contains("must be set together"), message)
    }
    val needed = refusal(enabled +: (ssl("needClientAuth") -> "true") +: server: _*)
    assert(needed.contains(s"${ssl("clientCertificate")} is not set"), needed)
  }

  test("the progress line follows Spark's console progress unless it is set") {
    val console = "spark.ui.showConsoleProgress" -> "true"
    assert(Configuration.Progress.get(conf(console)))
    assert(!Configuration.Progress.get(conf(console, "spark.firesteel.progress" -> "false")))
  }

  test("the cache takes half of the memory overhead that Spark's own rule gives") {
    def cache(settings: (String, String)*): Long =
      Configuration.CacheMemory.get(conf(settings: _*)) >> 20
    val cluster = "spark.master" -> "spark://host:7077"
    assert(cache(cluster) == 192)
    assert(cache(cluster, "spark.executor.memory" -> "20g") == 1024)
    assert(cache(cluster, "spark.executor.memoryOverhead" -> "3000") == 1500)
    assert(cache("spark.master" -> "local[2]", "spark.driver.memory" -> "10g") == 512)
    assert(
      cache("spark.master" -> "local-cluster[2,1,1024]", "spark.driver.memory" -> "10g") == 192
    )
  }

  test("each key is declared once, under one prefix") {
    val names = Configuration.all.map(_.name)
    assert(names.distinct == names)
    assert(names.forall(_.startsWith("spark.firesteel.")))
  }

  test("docs/configuration.md is what the declarations say") {
    val page =
      if (Files.exists(ConfigurationPage.Location)) Files.readString(ConfigurationPage.Location)
      else ""
    if (page != ConfigurationPage.text) fail(s"it is stale; run ${ConfigurationPage.Command}")
  }
}
