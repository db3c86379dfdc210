package firesteel.estimator

import scala.util.Random

import firesteel.bridge.{InvalidDataException, InvalidSpecException}
import firesteel.network._
import org.apache.spark.ml.Pipeline
import org.apache.spark.ml.attribute.{AttributeGroup, NominalAttribute, NumericAttribute}
import org.apache.spark.ml.feature.VectorAssembler
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.param.{ParamMap, ParamsSuite}
import org.apache.spark.ml.util.{DefaultReadWriteTest, MLTest}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types.MetadataBuilder

final class NetworkEstimatorSuite extends MLTest with DefaultReadWriteTest {
  import testImplicits._

  private val Tokens = 6

  /** Rows of two tokens and two numbers. The topic is the first token's half, and the score depends on all of them. */
  private lazy val data: DataFrame = {
    val random = new Random(3)
    val rows = Seq.tabulate(360) { id =>
      val ids = Seq.fill(2)(random.nextInt(Tokens))
      val (x, y) = (2 * random.nextDouble() - 1, 2 * random.nextDouble() - 1)
      val topic = ids.head / 2
      val score = x - y + (if (ids(1) % 2 == 0) 1.0 else -1.0)
      (id.toLong, ids, Vectors.dense(x, y), topic, score)
    }
    rows.toDF("id", "ids", "numbers", "topic", "score").repartition(2).cache()
  }

  private val network = Network(
    Seq("words", "dense"),
    Seq(
      Node.of("embedding", Embedding(Tokens, 4), "words"),
      Node.of("flat", Flatten, "embedding"),
      Node.of("both", Concatenate(), "flat", "dense"),
      Node.of("hidden", Linear(24), "both"),
      Node.of("relu", ReLU, "hidden"),
      Node.of("logits", Linear(3), "relu"),
      Node.of("shares", Softmax, "logits"),
      Node.of("value", Linear(1), "relu")
    ),
    Seq("shares", "value")
  )

  private def estimator: NetworkEstimator = new NetworkEstimator()
    .setNetwork(network)
    .setFeaturesCols(Array("ids", "numbers"))
    .setLabelCols(Array("topic", "score"))
    .setOutputCols(Array("topicShares", "predictedScore"))
    .setOptimizer("adam")
    .setLearningRate(0.02)
    .setBatchSize(16)
    .setEpochs(12)
    .setWindow(2)
    .setNumWorkers(2)
    .setSeed(7)

  private lazy val fitted: NetworkModel = estimator.fit(data)

  /** The share of right topics, and the mean squared error of scores. */
  private def quality(predicted: DataFrame): (Double, Double) = {
    val rows = predicted
      .select("topic", "topicShares", "score", "predictedScore")
      .as[(Int, Vector, Double, Double)]
      .collect()
    val right = rows.count { case (topic, shares, _, _) => shares.argmax == topic }
    val squares = rows.map { case (_, _, score, found) => math.pow(score - found, 2) }
    (right.toDouble / rows.length, squares.sum / rows.length)
  }

  private def learns(model: NetworkModel, df: DataFrame): Unit = {
    val (right, error) = quality(model.transform(df))
    assert(right > 0.95)
    assert(error < 0.1)
    ()
  }

  test("a network of token ids and numbers learns a class and a number at once") {
    learns(fitted, data)
    assert(fitted.hasParent)
    assert(fitted.numFeatures === 4)
    assert(fitted.summary.rowsTrained === 12 * 360)
    fitted.transform(data).select("topicShares").as[Tuple1[Vector]].collect().foreach { row =>
      assert(math.abs(row._1.toArray.sum - 1) < 1e-6, "behind the softmax")
    }
  }

  test("the parameters are as Spark wants them") {
    ParamsSuite.checkParams(new NetworkEstimator)
    ParamsSuite.checkParams(estimator)
    ParamsSuite.checkParams(fitted)
    assert(fitted.copy(fitted.extractParamMap()).fitted eq fitted.fitted)
    val explained = estimator.explainParams()
    assert(explained.contains("featuresCols: one column for each of the network's inputs"))
  }

  test("batch and streaming transforms give the same columns") {
    testTransformer[(Seq[Int], Vector)](
      data.select("ids", "numbers").as[(Seq[Int], Vector)].limit(40).toDF("ids", "numbers"),
      fitted,
      "topicShares",
      "predictedScore"
    ) { row =>
      assert(row.getAs[Vector](0).size === 3)
      assert(!row.getDouble(1).isNaN)
      ()
    }
  }

  test("an output that a query does not use is not computed, and the others are the same") {
    val whole = fitted.transform(data).orderBy("id")
    val one = fitted.transform(data).orderBy("id").select("predictedScore")
    assert(one.collect() === whole.select("predictedScore").collect())
    assert(one.queryExecution.executedPlan.toString.contains("output1)"))
    val unnamed = fitted.copy(ParamMap(fitted.outputCols -> Array("", "found"))).transform(data)
    assert(unnamed.columns === data.columns :+ "found")
    assert(unnamed.orderBy("id").select("found").collect() === one.collect())
  }

  test("a saved model comes back as it was, and so does a saved estimator") {
    val loaded = testDefaultReadWrite(fitted)
    assert(loaded.network === network)
    assert(loaded.weights === fitted.weights)
    assert(loaded.transform(data).collect() === fitted.transform(data).collect())
    testDefaultReadWrite(
      estimator.setLosses(Array("cross_entropy", "huber_loss")).setLossWeights(Array(1, 2.5))
    )
    testDefaultReadWrite(new NetworkEstimator)
  }

  test("inputs may be vectors, arrays, bytes or one number, and a single number an output") {
    val bytes = udf((v: Vector) => v.toArray.map(x => ((x + 1) * 127).toByte))
    val several = data
      .withColumn("first", element_at($"ids", 1))
      .withColumn("second", element_at($"ids", 2))
      .withColumn("numbers", bytes($"numbers"))
    val network = Network(
      Seq("one", "two", "image"),
      Seq(
        Node.of("e1", Embedding(Tokens, 4), "one"),
        Node.of("f1", Flatten, "e1"),
        Node.of("e2", Embedding(Tokens, 4), "two"),
        Node.of("f2", Flatten, "e2"),
        Node.of("both", Concatenate(), "f1", "f2", "image"),
        Node.of("hidden", Linear(24), "both"),
        Node.of("relu", ReLU, "hidden"),
        Node.of("topicShares", Linear(3), "relu"),
        Node.of("predictedScore", Linear(1), "relu")
      ),
      Seq("topicShares", "predictedScore")
    )
    val model = estimator
      .setNetwork(network)
      .setFeaturesCols(Array("first", "second", "numbers"))
      .setEpochs(20)
    // Without names the columns are called as the outputs are.
    model.clear(model.outputCols)
    learns(model.fit(several), several)
  }

  test("the losses of outputs count by their weights") {
    val first = estimator.setNumWorkers(1).setEpochs(6)
    def errors(weights: Double*): (Double, Double) =
      quality(first.copy(ParamMap(first.lossWeights -> weights.toArray)).fit(data).transform(data))
    val (rightOfScores, errorOfScores) = errors(1e-6, 1)
    val (rightOfTopics, errorOfTopics) = errors(1, 1e-6)
    assert(rightOfTopics > 0.9 && errorOfScores < 0.3)
    assert(rightOfScores < rightOfTopics)
    assert(errorOfTopics > 3 * errorOfScores)
  }

  test("a vector is learnt number by number, and a chosen loss is taken") {
    val both = udf((v: Vector) => Vectors.dense(v(0) + v(1), v(0) - v(1)))
    val df = data.withColumn("pair", both($"numbers"))
    val model = estimator
      .setNetwork(Network.sequential(Linear(2)))
      .setFeaturesCols(Array("numbers"))
      .setLabelCols(Array("pair"))
      .setOutputCols(Array("found"))
      .setLosses(Array("l1_loss"))
      .fit(df)
    val rows = model.transform(df).select("pair", "found").as[(Vector, Vector)].collect()
    rows.foreach { case (pair, found) => assert(Vectors.sqdist(pair, found) < 0.05) }
  }

  test("of one output metrics have their own names, of several the outputs' before them") {
    val only = estimator
      .setNetwork(Network.sequential(Flatten, Linear(1), Sigmoid))
      .setFeaturesCols(Array("numbers"))
      .setLabelCols(Array("positive"))
      .setOutputCols(Array("chance"))
      .setValidationFraction(0.3)
      .setEpochs(2)
    val df = data.withColumn("positive", ($"score" > 0).cast("int"))
    val metrics = only.fit(df).summary.epochs.last.validation.get.metrics
    assert(metrics.map(_.name) === Seq("accuracy", "auc"))
    val held = data.withColumn("held", $"id" % 4 === 0)
    val two = estimator
      .setEpochs(2)
      .setValidationIndicatorCol("held")
      .setLossWeights(Array(0.5, 2))
      .fit(held)
    val validation = two.summary.epochs.last.validation.get
    val losses = Seq("shares_loss", "value_loss")
    assert(
      validation.metrics.map(_.name) ===
        losses ++ Seq("shares_accuracy", "value_mse", "value_mae", "value_r2")
    )
    val rows = two
      .transform(held.where("held"))
      .select("topic", "topicShares", "score", "predictedScore")
      .as[(Int, Vector, Double, Double)]
      .collect()
    def mean(of: ((Int, Vector, Double, Double)) => Double) = rows.map(of).sum / rows.length
    def near(name: String, expected: Double) =
      assert(math.abs(validation.metric(name).get - expected) < 1e-5, name)
    val (right, squares) = quality(two.transform(held.where("held")))
    val entropy = mean(row => -math.log(row._2(row._1)))
    near("shares_accuracy", right)
    near("shares_loss", entropy)
    near("value_mse", squares)
    near("value_loss", squares)
    near("value_mae", mean(row => math.abs(row._3 - row._4)))
    assert(math.abs(validation.loss.get - 0.5 * entropy - 2 * squares) < 1e-5)
    assert(two.summary.validationMetric("value_mae").size === 2)
    val frame = two.summary.history.where("epoch = 1").select("metrics").as[Map[String, Double]]
    assert(frame.head() === validation.metrics.map(m => m.name -> m.value.get).toMap)
    assert(fitted.summary.epochs.forall(_.validation.isEmpty))
  }

  test("one of several outputs ends the training, and names of others are refused") {
    def judged = estimator.setEpochs(40).setValidationFraction(0.3)
    val first = judged
      .setMetrics(Array("mae", "shares_top2"))
      .setMonitor("value_mae")
      .setTargetMetric(1000)
      .fit(data)
      .summary
    assert(first.stopped === Some("targetMetric") && first.epochs.size < 40)
    val names = Seq("shares_loss", "value_loss", "value_mae", "shares_top2")
    assert(first.epochs.head.validation.get.metrics.map(_.name) === names)
    val byLoss = judged.setMonitor("shares_loss").setPatience(1).setMinDelta(100).fit(data).summary
    assert(byLoss.stopped === Some("patience") && byLoss.bestEpoch === Some(0))
    def refused(text: String)(one: NetworkEstimator): Any = {
      val error = intercept[InvalidSpecException](one.fit(data))
      assert(error.getMessage.contains(text), error.getMessage)
    }
    refused(
      "'metrics' contains score_mae, but the network has no output 'score'; it has shares, value"
    ) {
      judged.setMetrics(Array("score_mae"))
    }
    refused("'stopping.monitor' is mae, which is not among the metrics: ") {
      judged.setMetrics(Array("mae")).setMonitor("mae")
    }
  }

  test("values are multiplied with the scale of their input, in the fit and in transforms") {
    val large = udf((v: Vector) => Vectors.dense(v.toArray.map(_ * 200)))
    val df = data.withColumn("numbers", large($"numbers"))
    val scaled = estimator.setFeaturesScales(Array(1, 0.005)).setEpochs(2)
    val model = scaled.fit(df)
    assert(model.getFeaturesScales === Array(1, 0.005))
    // Twice the values by half the scale are the same numbers.
    val twice = df.withColumn(
      "numbers",
      udf((v: Vector) => Vectors.dense(v.toArray.map(_ * 2)))
        .apply($"numbers")
    )
    val halved = model.copy(ParamMap(model.featuresScales -> Array(1, 0.0025)))
    def found(of: DataFrame) = of.orderBy("id").select("topicShares", "predictedScore").collect()
    assert(found(halved.transform(twice)) === found(model.transform(df)))
    assert(found(model.transform(twice)) !== found(model.transform(df)))
    refused("featuresScales has 1 values (0.5)", "the network has 2 inputs (words, dense)") {
      estimator.setFeaturesScales(Array(0.5)).fit(df)
    }
    refused("featuresScales must be a finite number other than 0, not 0.0") {
      estimator.setFeaturesScales(Array(1, 0))
    }
    refused("featuresScales has 0.5 for the input 'words', which holds token ids") {
      estimator.setFeaturesScales(Array(0.5, 1)).fit(df)
    }
  }

  test("where sizes are known the schema follows from the network, before the fit") {
    val network = Network(
      Seq("x"),
      Seq(
        Node.of("one", Linear(1), "x"),
        Node.of("two", Linear(1), "x"),
        Node.of("logits", Concatenate(), "one", "two")
      ),
      Seq("logits")
    )
    val assembled = new VectorAssembler()
      .setInputCols(Array("score", "topic"))
      .setOutputCol("both")
      .transform(data.withColumn("even", $"id" % 2))
    def of(column: String) = new NetworkEstimator()
      .setFeaturesCols(Array(column))
      .setLabelCols(Array("even"))
      .setStrategy("single")
      .setEpochs(1)
    val known = of("both").setNetwork(network)
    val before = known.transformSchema(assembled.schema)
    assert(AttributeGroup.fromStructField(before("logits")).size === 2)
    assert(before === known.fit(assembled).transform(assembled).schema)
    val shaped =
      of("numbers").setNetwork(network.withInputShape(2)).transformSchema(assembled.schema)
    assert(AttributeGroup.fromStructField(shaped("logits")).size === 2)
    val error = intercept[InvalidSpecException] {
      of("both").setNetwork(Network.sequential(Linear(3, 1))).transformSchema(assembled.schema)
    }
    assert(error.getMessage.contains("'0'"), error.getMessage)
  }

  test("it works in a Pipeline, whose schema is known before the fit") {
    val model = new Pipeline().setStages(Array(estimator)).fit(data)
    learns(model.stages.head.asInstanceOf[NetworkModel], data)
    val before = estimator.transformSchema(data.schema)
    val after = model.transform(data).schema
    assert(before.map(f => (f.name, f.dataType)) === after.map(f => (f.name, f.dataType)))
    assert(fitted.transformSchema(data.schema) === fitted.transform(data).schema)
    assert(AttributeGroup.fromStructField(after("topicShares")).size === 3)
    assert(NumericAttribute.fromStructField(after("predictedScore")).name.nonEmpty)
  }

  test("training starts from the network's weights") {
    val standing = estimator
      .setNetwork(network.withWeights(fitted.weights))
      .setOptimizer("sgd")
      .setLearningRate(1e-30)
      .setEpochs(1)
    assert(standing.fit(data).weights === fitted.weights)
  }

  private def refused(texts: String*)(body: => Any): Unit = {
    val error = intercept[IllegalArgumentException](body)
    texts.foreach(text => assert(error.getMessage.contains(text), error.getMessage))
    ()
  }

  test("as many columns, losses and weights as inputs or outputs are needed, by their names") {
    def of(change: NetworkEstimator => NetworkEstimator): Any = change(estimator).fit(data)
    val needs = "the network has 2"
    refused("featuresCols has 1 values (ids)", s"$needs inputs (words, dense)") {
      of(_.setFeaturesCols(Array("ids")))
    }
    refused("labelCols has 1 values (topic)", s"$needs outputs (shares, value)") {
      of(_.setLabelCols(Array("topic")))
    }
    refused("outputCols has 3 values", needs)(of(_.setOutputCols(Array("a", "b", "c"))))
    refused("losses has 1 values", needs)(of(_.setLosses(Array("mse_loss"))))
    refused("lossWeights has 1 values", needs)(of(_.setLossWeights(Array(1))))
    refused("outputCols names the column 'a' twice")(of(_.setOutputCols(Array("a", "a"))))
    refused("Column score already exists.")(of(_.setOutputCols(Array("a", "score"))))
    refused("no featuresCols")(new NetworkEstimator().setNetwork(network).fit(data))
    refused("no labelCols")(of(one => one.clear(one.labelCols)))
    refused("has no network")(new NetworkEstimator().fit(data))
    refused("unknown loss 'mse'")(of(_.setLosses(Array("mse", "mse_loss"))))
    refused("lossWeights must be a positive number, not 0.0")(of(_.setLossWeights(Array(1, 0))))
  }

  test("a label with more classes or numbers by its metadata than its output has is refused") {
    val topics = NominalAttribute.defaultAttr.withName("topic").withNumValues(4).toMetadata()
    refused("'topic' has 4 classes", "'shares' has 3 values", "Linear(4)") {
      estimator.fit(data.withMetadata("topic", topics))
    }
    val pair = data.withColumn("pair", array($"score", $"score"))
    val sized = new MetadataBuilder().putLong("size", 2).build()
    val wide = Network.sequential(Linear(3)).withInputShape(2)
    refused("'pair' has 2 values in each row", "has 3 values", "Linear(2)") {
      new NetworkEstimator()
        .setNetwork(wide)
        .setFeaturesCols(Array("numbers"))
        .setLabelCols(Array("pair"))
        .fit(pair.withMetadata("pair", sized))
    }
  }

  test("a column that does not fit is named") {
    refused("the column 'words' does not exist")(
      estimator.setFeaturesCols(Array("words", "ids")).fit(data)
    )
    refused("'score' has type string") {
      estimator.fit(data.withColumn("score", lit("high")))
    }
    refused("'pair' has type array<double>", "a numeric type") {
      estimator.setLabelCols(Array("topic", "pair")).fit(data.withColumn("pair", array($"score")))
    }
    val error = intercept[InvalidDataException](estimator.fit(data.withColumn("topic", lit(3))))
    assert(error.getMessage.contains("'topic'") && error.getMessage.contains("from 0 to 2"))
    val tokens = udf((ids: Seq[Int]) => ids.map(_ + 1))
    val above =
      intercept[InvalidDataException](estimator.fit(data.withColumn("ids", tokens($"ids"))))
    assert(above.getMessage.contains("'ids'") && above.getMessage.contains("token ids from 0 to 5"))
  }
}
