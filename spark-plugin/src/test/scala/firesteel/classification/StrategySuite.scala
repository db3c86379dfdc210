package firesteel.classification

import java.nio.file.Files
import java.util.concurrent.CountDownLatch

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}

import firesteel.bridge.StartTimeoutException
import firesteel.data.LocalSpark
import firesteel.network.Inspection
import firesteel.params.Strategy
import org.apache.spark.SparkEnv
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.sql.DataFrame
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite
import org.scalatest.time.{Seconds, Span}

/** The strategies through whole fits; their equations are tested natively. */
final class StrategySuite extends AnyFunSuite with LocalSpark with Eventually {
  override implicit val patienceConfig: PatienceConfig = PatienceConfig(Span(30, Seconds))

  private lazy val data: DataFrame = Blobs.frame(spark)

  private def classifier(strategy: String): NetworkClassifier = {
    val estimator = Blobs.classifier().setStrategy(strategy).setEpochs(20)
    estimator.clear(estimator.window)
    if (strategy == "eamsgd") estimator.clear(estimator.learningRate)
    estimator
  }

  for (strategy <- Strategy.selectable)
    test(s"$strategy learns with one worker and with four on two slots, every row once an epoch") {
      for (workers <- if (strategy == "single") Seq(1) else Seq(1, 4)) {
        val model = classifier(strategy).setNumWorkers(workers).fit(data)
        val accuracy = Blobs.accuracy(model.transform(data))
        assert(accuracy > 0.9, s"$strategy with $workers workers")
        val rows = model.summary.ledger.groupMapReduce(_.epoch)(_.rows)(_ + _)
        assert(rows === (0 until 20).map(_ -> data.count()).toMap)
      }
    }

  test("an ensemble predicts the mean of its members' probabilities, also once it was saved") {
    val model = classifier("ensemble").setNumWorkers(3).setEpochs(3).fit(data)
    val path = Files.createTempDirectory("firesteel").resolve("model").toString
    model.write.save(path)
    val predicted = model.transform(data).select("id", "probability").orderBy("id").collect()
    val again = NetworkClassificationModel.load(path).transform(data)
    assert(predicted === again.select("id", "probability").orderBy("id").collect())
    assert(predicted.forall(row => math.abs(row.getAs[Vector](1).toArray.sum - 1) < 1e-6))
    val row = data.orderBy("id").head().getAs[Vector]("features")
    val single = model.predictProbability(row).toArray
    assert(single.zip(predicted.head.getAs[Vector](1).toArray).forall { case (a, b) =>
      math.abs(a - b) < 1e-6
    })
  }

  test("the native library tells which strategies have rounds") {
    val rounds = Strategy.names.filter(Inspection.inRounds)
    assert(rounds.toSet === Set("averaging", "easgd", "sync", "local-sgd", "diloco"))
  }

  test("a strategy with rounds whose workers do not all start fails and says how many there are") {
    val release = new CountDownLatch(1)
    StrategySuite.gate = release
    val context = spark.sparkContext
    val busy = Future(context.parallelize(Seq(1), 1).foreach(_ => StrategySuite.gate.await()))
    eventually(assert(context.statusTracker.getExecutorInfos.exists(_.numRunningTasks == 1)))
    val conf = SparkEnv.get.conf
    conf.set("spark.firesteel.start.timeout", "2s")
    try {
      val known = spark.createDataFrame(Blobs.points(40)).repartition(2).cache()
      val error = intercept[StartTimeoutException](
        Blobs.classifier().setStrategy("easgd").setNumWorkers(2).fit(known)
      )
      assert(error.getMessage.contains("1 of 2 workers"), error.getMessage)
    } finally {
      conf.remove("spark.firesteel.start.timeout")
      release.countDown()
    }
    Await.result(busy, 30.seconds)
  }

  test("a moving rate that overshoots warns in the summary") {
    val model = classifier("aeasgd").setElasticAlpha(0.6).setNumWorkers(2).setEpochs(1).fit(data)
    assert(model.summary.warnings.exists(_.contains("the center variable overshoots")))
  }

  test("the server's optimizer changes what is learnt") {
    def weights(set: NetworkClassifier => NetworkClassifier): Seq[Byte] =
      set(classifier("downpour").setNumWorkers(1).setEpochs(2)).fit(data).weights.toSeq
    val plain = weights(identity)
    assert(weights(_.setServerOptimizer("sgd")) === plain, "sgd of learning rate 1 adds")
    assert(weights(_.setServerOptimizer("adagrad")) !== plain)
  }
}

object StrategySuite {
  @volatile private var gate: CountDownLatch = new CountDownLatch(0)
}
